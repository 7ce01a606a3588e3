"""Krippendorff's alpha: the published example and extreme cases."""

from __future__ import annotations

import numpy as np
import pytest

from limner.stats.krippendorff import alpha as alpha_of
from limner.stats.krippendorff import alpha_interval, coincidences

# Krippendorff 2011, section C: four observers, twelve units, values missing; 0 stands for those.
OBSERVED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
)


def alpha(scores: np.ndarray, levels: int) -> float:
    return float(alpha_of(coincidences(scores, levels).sum(0)))


def test_it_is_what_was_published() -> None:
    assert alpha(OBSERVED - 1, 5) == pytest.approx(0.815, abs=5e-4)


def test_full_agreement_is_one_and_chance_is_none() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 5, 400)
    assert alpha(np.stack([one, one, one]), 5) == 1
    whole, low, high = alpha_interval(rng.integers(0, 5, (3, 400)), 5)
    assert abs(whole) < 0.06 and low < 0 < high


def test_the_order_counts() -> None:
    one = np.random.default_rng(0).integers(0, 5, 200)
    near, far = np.clip(one + 1, 0, 4), (one + 2) % 5
    assert alpha(np.stack([one, near]), 5) > 0.6 > 0.1 > alpha(np.stack([one, far]), 5)


def test_two_against_two_is_less_than_chance() -> None:
    # Two units, two raters, each pair (0, 1): observed disagreement 1, expected 8 / 12.
    assert alpha(np.array([[0, 1], [1, 0]]), 2) == pytest.approx(1 - 1 / (8 / 12))


@pytest.mark.parametrize(
    "scores", [[[0, 1, 2]], [[0, 1, -1], [-1, -1, 2]], [[3, 3, 3], [3, 3, 3]]], ids=["one rater", "apart", "all alike"]
)
def test_alpha_is_unknown_without_comparable_scores(scores: list[list[int]]) -> None:
    assert np.isnan(alpha(np.array(scores), 5)) and np.isnan(alpha_interval(np.array(scores), 5)).all()


def test_the_interval_narrows_with_the_units() -> None:
    rng = np.random.default_rng(1)
    one = rng.integers(0, 5, 800)
    both = np.stack([one, np.clip(one + rng.integers(-1, 2, 800), 0, 4)])
    few, many = alpha_interval(both[:, :40], 5), alpha_interval(both, 5)
    assert few[1] < few[0] < few[2] and many[2] - many[1] < (few[2] - few[1]) / 2


def test_the_interval_is_the_bootstraps_of_95_percent() -> None:
    """Units drawn anew by another generator; the ends of 90% lie 0.046 and 0.016 inside of these."""
    rng = np.random.default_rng(2)
    one = rng.integers(0, 5, 20)
    both = np.stack([one, np.clip(one + rng.integers(-2, 3, 20), 0, 4)])
    drawn = [alpha(both[:, rng.integers(20, size=20)], 5) for _ in range(1500)]
    whole, low, high = alpha_interval(both, 5)
    assert whole == alpha(both, 5)
    assert (low, high) == pytest.approx(np.quantile(drawn, (0.025, 0.975)), abs=0.012)


def test_units_with_one_score_are_not_drawn() -> None:
    rng = np.random.default_rng(3)
    one = rng.integers(0, 5, 40)
    both = np.stack([one, np.clip(one + rng.integers(-1, 2, 40), 0, 4)])
    alone = np.full((2, 400), -1)
    alone[0] = rng.integers(0, 5, 400)
    assert alpha_interval(np.concatenate([both, alone], axis=1), 5) == alpha_interval(both, 5)
