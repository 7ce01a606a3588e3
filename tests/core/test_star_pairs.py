"""Tests of pairs that follow from stars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from limner.core.feedback import Reason
from limner.core.preferences import JudgedImage, Judgement
from limner.core.star_pairs import opposite_ends, pairs_from_stars

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def rating(name: str, stars: int, rater: str = "ann", prompt: str = "a dog", **more: object) -> Judgement:
    image = JudgedImage(sha256=name, location=name, prompt=prompt, negative_prompt=str(more.pop("negative", "")))
    return Judgement.model_validate({"image": image, "stars": stars, "rater": rater, **more})


def pairs(*ratings: Judgement) -> list[tuple[str, str, str]]:
    return [(pair.rater, pair.better.sha256, pair.worse.sha256) for pair in pairs_from_stars(ratings)]


def test_the_best_is_paired_with_the_worst() -> None:
    assert pairs(*(rating(name, stars) for name, stars in zip("abcde", (2, 5, 3, 1, 4), strict=True))) == [
        ("ann", "b", "d"),
        ("ann", "e", "a"),
    ]
    assert [*opposite_ends([5, 3, 3, 1], int)] == [(5, 1)], "equal stars make no pair"
    assert [*opposite_ends([5], int)] == [*opposite_ends([], int)] == []


def test_pairs_are_of_one_rater_and_the_same_prompts() -> None:
    assert pairs(rating("a", 5), rating("b", 1, rater="bob")) == []
    assert pairs(rating("a", 5), rating("b", 1, prompt="a cat")) == []
    assert pairs(rating("a", 5), rating("b", 1, negative="blur")) == []
    assert pairs(rating("a", 5, rater=""), rating("b", 1, rater="")) == [("", "a", "b")]


def test_a_pair_has_the_reasons_of_the_worse_image_and_the_later_time() -> None:
    later = NOW + timedelta(hours=1)
    best = rating("a", 4, reasons=["blurred"], created=later.replace(tzinfo=None))
    worst = rating("b", 2, reasons=["off_prompt"], created=NOW)
    (pair,) = pairs_from_stars([worst, best])
    assert (pair.reasons, pair.created, pair.source, pair.tie) == ((Reason.OFF_PROMPT,), later, "stars", False)
    (pair,) = pairs_from_stars([rating("a", 4), worst])
    assert pair.created == NOW
    (pair,) = pairs_from_stars([rating("a", 4), rating("b", 2)])
    assert pair.created is None
