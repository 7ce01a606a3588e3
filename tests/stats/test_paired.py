"""The sign-flip test against counts by hand and against what chance gives."""

from __future__ import annotations

import numpy as np
import pytest

from limner.stats.paired import EXACT, PATTERNS, pairs_needed, sign_flip


def p_of(*differences: float) -> float:
    return float(sign_flip(np.array(differences)[:, None])[0])


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ((1, 1, 1, 1, 1, 1), 2 / 64),
        ((1, 1, 1, 1, 1), 2 / 32),
        ((1, 2, -3), 1.0),
        ((1, 2, 4, -1), 6 / 16),  # |sum| is 6 or more for 7 + 1, 7 - 1, 5 + 1 and their opposites
        ((0, 0, 0), 1.0),
    ],
)
def test_few_pairs_are_counted_exactly(differences: tuple[float, ...], expected: float) -> None:
    assert p_of(*differences) == pytest.approx(expected)
    assert p_of(*(-value for value in differences)) == pytest.approx(expected), "it has two sides"


def test_many_pairs_are_drawn_and_what_was_observed_is_one_of_the_draws() -> None:
    assert p_of(*[1.0] * (EXACT + 20)) == pytest.approx(1 / PATTERNS)


def test_a_missing_pair_does_not_count() -> None:
    both = np.array([[1.0, np.nan], [1.0, 1.0], [1.0, 1.0]])
    assert sign_flip(both) == pytest.approx([2 / 8, 2 / 4])


def test_chance_is_found_as_often_as_it_says() -> None:
    drawn = np.random.default_rng(0).normal(size=(10, 2000))
    assert (sign_flip(drawn) < 0.05).mean() == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(("tests", "pairs"), [(1, 6), (2, 7), (3, 7), (6, 8), (12, 9)])
def test_the_number_of_pairs_that_can_be_enough(tests: int, pairs: int) -> None:
    assert pairs_needed(tests) == pairs
    assert p_of(*[1.0] * pairs) < 0.05 / tests <= p_of(*[1.0] * (pairs - 1))
