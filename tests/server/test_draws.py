"""Draws of adapters follow the beta distribution of their ratings: its mean, from many draws."""

from __future__ import annotations

from statistics import fmean, pstdev

import pytest

from limner.core.feedback import RatingSummary
from limner.core.requests import AdapterUse
from limner.server.bandit import _draw

USE = AdapterUse(path="sha256:" + "a" * 64)


def rated(ratings: int, mean: float | None) -> RatingSummary:
    nothing = dict.fromkeys(("standard_error", "low", "high"))
    return RatingSummary(name=USE.path, ratings=ratings, mean=mean, wins=0, losses=0, ties=0, reasons={}, **nothing)


@pytest.mark.parametrize(
    ("ratings", "mean"), [(0, None), (1, 5.0), (1, 1.0), (12, 4.25), (12, 1.5), (40, 3.0)], ids=str
)
def test_draws_have_mean_and_spread_of_the_beta_distribution(ratings: int, mean: float | None) -> None:
    successes = 0.0 if mean is None else ratings * (mean - 1) / 4
    a, b = 1 + successes, 1 + ratings - successes
    draws = [_draw(USE, rated(ratings, mean), chance) for chance in range(4000)]
    assert min(draws) >= 1 and max(draws) <= 5
    assert fmean(draws) == pytest.approx(1 + 4 * a / (a + b), abs=0.08)
    assert pstdev(draws) == pytest.approx(4 * (a * b / ((a + b) ** 2 * (a + b + 1))) ** 0.5, rel=0.06)
    assert _draw(USE, None, 7) == _draw(USE, rated(0, None), 7)
