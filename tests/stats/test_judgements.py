"""Tests of answers and their agreement."""

from __future__ import annotations

import numpy as np
import pytest

from limner.core.preferences import JudgedImage, Judgement, Preference
from limner.stats import judgements
from limner.stats.judgements import Answer, agreement, answers
from limner.stats.krippendorff import alpha_interval


def image(name: str) -> JudgedImage:
    return JudgedImage(sha256=name, location=name, prompt="a dog")


def test_a_pair_is_the_same_question_both_ways() -> None:
    pairs = [
        Preference(better=image("a"), worse=image("b"), rater="ann"),
        Preference(better=image("b"), worse=image("a"), rater="bob"),
        Preference(better=image("b"), worse=image("a"), tie=True),
        Preference(better=image("c"), worse=image("d"), rater="ann", source="stars"),
    ]
    ratings = [Judgement(image=image(name), stars=stars, rater="ann") for name, stars in (("c", 2), ("d", 1))]
    found = answers(ratings, pairs)
    assert [(each.rater, each.unit, each.value, each.direction) for each in found] == [
        ("ann", ("c",), 2, -1),
        ("ann", ("d",), 1, -1),
        ("ann", ("a", "b"), -1, -1),
        ("bob", ("a", "b"), 1, 1),
        ("", ("a", "b"), 0, 0),
    ]
    assert answers(ratings[:1], pairs[3:])[1].unit == ("c", "d"), "where its ratings are not there, it is an answer"
    assert [Answer("", ("a",), stars).direction for stars in (1, 2, 3, 4, 5)] == [-1, -1, 0, 1, 1]


def table(scores: np.ndarray) -> list[Answer]:
    """Ratings of images, levels from 0 and -1 for none, as answers."""
    return [Answer(str(i), (str(j),), int(scores[i, j]) + 1) for i, j in np.argwhere(scores >= 0)]


def test_agreement_is_that_of_the_matrix_of_raters() -> None:
    scores = np.random.default_rng(0).integers(-1, 5, (4, 60))
    shared = scores[:, (scores >= 0).sum(0) > 1]
    *interval, units = agreement(table(scores))
    assert units == shared.shape[1] and interval[0] == pytest.approx(alpha_interval(shared, 5)[0], abs=1e-12)
    assert interval[1] < interval[0] < interval[2]


def test_agreement_is_of_pairs_or_of_more_images() -> None:
    pairs = [Answer(rater, (str(i), "x"), 1 - 2 * (i % 2)) for rater in ("ann", "bob") for i in range(8)]
    stars = [Answer(rater, (str(i),), 1 + i % 5) for rater, i in (("ann", 0), ("bob", 0), ("ann", 1))]
    assert agreement([*pairs, *stars])[0::3] == (1.0, 8)
    more = [
        Answer(rater, (str(i),), 1 + (i + shift) % 5) for rater, shift in (("ann", 0), ("bob", 2)) for i in range(9)
    ]
    assert agreement([*pairs, *more])[3] == 9 and agreement([*pairs, *more])[0] < 0.5
    assert np.isnan(agreement(stars[1:])[0]) and agreement([])[3] == 0
    assert agreement([Answer("ann", ("a",), 1), Answer("ann", ("a",), 5)])[3] == 0, "one rater is not two"


def test_agreement_of_very_many_answers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgements, "MAX_UNITS", 5)
    monkeypatch.setattr(judgements, "MAX_ANSWERS", 2)
    scores = np.tile(np.arange(10) % 5, (3, 1))
    scores[2] = 4 - scores[2]
    assert agreement(table(scores))[0::3] == (1.0, 5), "the third answer of each is not read"
