"""Keys and votes of blind pages, scores of people, and the hashes that keep pages apart."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from limner.core.opinions import MAX_SCORED, Opinions, evaluation_of
from limner.core.votes import MAX_PAIRS, Votes, VotesKey

HASH = "a" * 64


def key(left: int, right: int, contestants: int = 3) -> VotesKey:
    pair: Any = {"prompt": "a", "seed": 1, "left": left, "right": right}
    names = tuple(map(str, range(contestants)))
    return VotesKey(comparison=HASH, contestants=names, pairs={"p": pair})


def test_a_pair_is_of_two_of_the_contestants() -> None:
    assert key(0, 2).pairs["p"].right == 2 and key(7, 0, 8).pairs["p"].left == 7
    for left, right in ((0, 3), (3, 0), (1, 1), (-1, 0)):
        with pytest.raises(ValidationError):
            key(left, right)
    for contestants in (1, 9):
        with pytest.raises(ValidationError):
            key(0, 1, contestants)


def test_a_page_has_at_most_a_thousand_pairs_and_a_hundred_images() -> None:
    def votes(count: int) -> Votes:
        return Votes(comparison=HASH, ballot="b", votes={f"p-{number}": "tie" for number in range(count)})

    def opinions(count: int) -> Opinions:
        scores = {f"{number:064x}": {"detail": 5} for number in range(count)}
        return Opinions.model_validate({"evaluation": HASH, "ballot": "b", "scores": scores})

    assert len(votes(1000).votes) == MAX_PAIRS and len(opinions(100).scores) == MAX_SCORED
    for make, many in ((votes, 1001), (opinions, 101)):
        with pytest.raises(ValidationError, match="at most"):
            make(many)


@pytest.mark.parametrize("points", [0, 6, 2.0, "3", True])
def test_points_are_whole_numbers_from_one_to_five(points: object) -> None:
    with pytest.raises(ValidationError):
        Opinions.model_validate({"evaluation": HASH, "ballot": "b", "scores": {HASH: {"detail": points}}})


def test_an_evaluation_is_its_images_in_any_order() -> None:
    assert evaluation_of(["b", "a"]) == evaluation_of(iter(["a", "b"])) != evaluation_of(["a"])
