"""Votes are counted correctly, and files that are not votes are refused in one line."""

from __future__ import annotations

import json
import random

import pytest

from limner.core.errors import LimnerError
from limner.core.votes import BlindPair, Votes, VotesKey
from limner.engine.compare.ranking import Rank, _verdict, rank, rank_by_votes

HASH = "ab" * 32
NAMES = ("alpha", "beta", "gamma")


@pytest.fixture
def key():
    rng = random.Random(1)
    pairs = {
        f"pair-{number}": BlindPair(prompt="x", seed=number, left=left, right=right)
        for number in range(300)
        for left, right in [rng.sample(range(3), 2)]
    }
    return VotesKey(comparison=HASH, contestants=NAMES, pairs=pairs)


def ballot(key, prefer, name="aa"):
    return Votes(comparison=HASH, ballot=name, votes={each: prefer(pair) for each, pair in key.pairs.items()})


def preferring(chances, seed=0):
    """A voter who prefers by strengths of 1, 2, 4 ..."""
    rng = random.Random(seed)

    def prefer(pair):
        left, right = chances[pair.left], chances[pair.right]
        return "left" if rng.random() < left / (left + right) else "right"

    return prefer


@pytest.fixture
def folder(key, tmp_path):
    (tmp_path / "votes-key.json").write_text(key.model_dump_json())
    return tmp_path


@pytest.fixture
def votes(key, folder):
    path = folder / "votes.json"
    path.write_text(ballot(key, preferring((1, 4, 2))).model_dump_json())
    return path


def test_the_order_and_the_distances_come_back(key):
    ballots = [ballot(key, preferring((1, 4, 2), seed), f"b{seed}") for seed in range(6)]
    found = rank_by_votes(key, ballots)
    assert [each.contestant for each in found.ranks] == ["beta", "gamma", "alpha"]
    elo = {each.contestant: each.elo for each in found.ranks}
    assert elo["beta"] - elo["gamma"] == pytest.approx(120.4, abs=25)  # twice as strong: 400 log10 2
    assert elo["gamma"] - elo["alpha"] == pytest.approx(120.4, abs=25)
    assert found.verdict.startswith("People prefer beta to gamma: ")
    assert found.lead[1] > 0 and (found.votes, found.ballots) == (1800, 6)
    assert all(each.low < each.elo < each.high for each in found.ranks)


def test_counts_are_exact(key):
    found = rank_by_votes(key, [ballot(key, lambda pair: "tie" if 2 in (pair.left, pair.right) else "left")])
    by = {each.contestant: each for each in found.ranks}
    assert by["gamma"].wins == by["gamma"].losses == 0
    assert by["gamma"].ties == sum(2 in (pair.left, pair.right) for pair in key.pairs.values())
    assert by["alpha"].wins == by["beta"].losses == sum((p.left, p.right) == (0, 1) for p in key.pairs.values())
    assert by["gamma"].preferred == 0.5


def test_chance_shows_no_difference(key):
    found = rank_by_votes(key, [ballot(key, preferring((1, 1, 1)))])
    assert found.verdict.startswith("No clear difference between ")
    assert found.left == pytest.approx(0.5, abs=0.1)


def test_a_contestant_that_always_wins_has_a_finite_rating(key):
    ids = [name for name, pair in key.pairs.items() if {pair.left, pair.right} == {0, 1}]
    alpha = {name: "left" if key.pairs[name].left == 0 else "right" for name in ids}

    def votes(count):
        return rank_by_votes(
            key, [Votes(comparison=HASH, ballot="a", votes={name: alpha[name] for name in ids[:count]})]
        )

    few, many = votes(3), votes(60)
    assert few.verdict.startswith("No clear difference") and few.lead[1] <= 0
    assert many.verdict.startswith("People prefer alpha to ") and many.lead[2] - many.lead[1] > 20
    assert many.ranks[0].elo < 2000


def test_a_bias_to_the_left_is_reported(key):
    assert rank_by_votes(key, [ballot(key, lambda pair: "left")]).left == 1


def test_the_command_prints_and_keeps_the_ranking(limner, folder, votes):
    result = limner("rank", votes, "--comparison", folder)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["beta", "gamma", "alpha"]
    ranking = json.loads((folder / "ranking.json").read_text())
    assert lines[-1] == ranking["verdict"] and ranking["prior"] == 1


def changed(file, **fields):
    return json.dumps(json.loads(file.read_text()) | fields)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda v: changed(v, comparison="cd" * 32), "contains votes on another comparison"),
        (lambda v: changed(v, votes={"pair-999": "left"}), "votes on 'pair-999', which is not on the blind page"),
        (
            lambda v: changed(v, votes={"pair-1": "both"}),
            "is not a file of votes: votes pair-1 'both': choose one of: left, right, tie",
        ),
        (lambda v: changed(v, votes={"../x": "left"}), "is not a file of votes"),
        (lambda v: changed(v, votes=["left"]), "is not a file of votes"),
        (lambda v: changed(v, votes={"pair-1": 1}), "is not a file of votes"),
        (lambda v: changed(v, ballot="\x1b[31m\n" * 99), "is not a file of votes"),
        (lambda v: changed(v, extra="x"), "is not a file of votes: unknown field 'extra'"),
        (lambda v: changed(v, votes={f"pair-{n}": "left" for n in range(2000)}), "is not a file of votes"),
        (lambda v: changed(v, votes={}), "the files contain no votes"),
        (lambda v: "[" * 100_000, "is not a file of votes"),
        (lambda v: "", "is not a file of votes"),
        (lambda v: '"left"', "is not a file of votes"),
        (lambda v: " " * (2**20 + 1), "is larger than a file of votes can be (1048576 bytes)"),
    ],
)
def test_a_file_without_votes_is_refused_in_one_line(limner, folder, votes, spoil, line):
    votes.write_text(spoil(votes))
    result = limner("rank", votes, "--comparison", folder)
    assert result.code == 2 and line in result.error and result.out == ""
    assert len(result.error) < 600 and not (folder / "ranking.json").exists()


def test_binary_files_are_refused(limner, folder, votes):
    votes.write_bytes(b"\xff\xfe\x00" * 99)
    assert "is not a file of votes" in limner("rank", votes, "--comparison", folder).error


def test_a_person_counts_once(limner, folder, votes):
    (folder / "again.json").write_text(votes.read_text())
    result = limner("rank", votes, folder / "again.json", "--comparison", folder)
    assert "are from the same person; give only the newer one" in result.error


def test_missing_files_are_reported(limner, folder, votes, tmp_path):
    assert "no file of votes is given" in limner("rank", "--comparison", folder).error
    assert "does not exist" in limner("rank", folder / "none.json", "--comparison", folder).error
    assert "is not a file" in limner("rank", folder, "--comparison", folder).error
    assert (
        "votes-key.json' does not exist; give the folder" in limner("rank", votes, "--comparison", tmp_path / "x").error
    )


def test_an_invalid_key_is_refused(folder, votes):
    key = json.loads((folder / "votes-key.json").read_text())
    key["pairs"]["pair-1"]["left"] = 7
    (folder / "votes-key.json").write_text(json.dumps(key))
    with pytest.raises(LimnerError, match="is not the key of a blind page"):
        rank([votes], folder)


@pytest.mark.parametrize(("low", "votes", "claimed"), [(0.1, 6, True), (0.1, 5, False), (0.0, 6, False)])
def test_a_lead_is_claimed_from_six_votes_on_where_its_interval_lies_above_0(
    low: float, votes: int, claimed: bool
) -> None:
    ranks = [Rank(contestant=name, elo=1000, low=900, high=1100, wins=1, ties=0, losses=0) for name in "ab"]
    sentence = _verdict(ranks, (50.0, low, 100.0), votes)
    assert sentence.startswith("People prefer a to b" if claimed else "No clear difference between a and b")
