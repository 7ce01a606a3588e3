"""Means, ranks and their intervals, compared with scipy and with textbooks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from limner.stats.intervals import correlation, difference, interval, jackknife, rank_correlation, ranks, wilson

NORMAL = stats.norm.ppf(0.975)
"""Standard deviations that hold 95% of a normal variable."""


def drawn(count: int, seed: int = 0) -> np.ndarray:
    """Normal numbers of mean 3 and standard deviation 2, to the last digit."""
    values = np.random.default_rng(seed).normal(size=count)
    return 3 + 2 * (values - values.mean()) / values.std()


def test_the_interval_of_many_values_is_the_normal_one():
    """95% and no other level: at 90% it would be 1.645 standard errors wide on each side, at 99% 2.576."""
    mean, low, high = interval(drawn(1000))
    error = 2 / 1000**0.5
    assert mean == pytest.approx(3)
    assert (mean - low) / error == pytest.approx(NORMAL, abs=0.15)
    assert (high - mean) / error == pytest.approx(NORMAL, abs=0.15)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_the_interval_is_scipys(level):
    values = np.random.default_rng(1).exponential(size=25)
    found = stats.bootstrap(
        (values,), np.mean, confidence_level=level, n_resamples=10_000, method="percentile", rng=2
    ).confidence_interval
    mean, low, high = interval(values, level)
    assert mean == values.mean()
    assert (low, high) == pytest.approx((found.low, found.high), abs=0.04)


def test_a_single_value_has_no_interval():
    assert interval([5.0]) == (5.0, -np.inf, np.inf)
    assert interval([5.0, 7.0]) == (6.0, 5.0, 7.0)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    """Efron and Tibshirani 1993, section 11.2: of a mean it is s / sqrt(n), s with n - 1 in its denominator."""
    values = drawn(12)
    whole, low, high = jackknife(values.mean(), [np.delete(values, i).mean() for i in range(12)])
    error = values.std(ddof=1) / 12**0.5
    assert (whole, low, high) == pytest.approx((3, 3 - NORMAL * error, 3 + NORMAL * error), rel=1e-4)


def test_the_difference_is_second_minus_first():
    first, second = drawn(50), drawn(50) + 1
    assert difference(first, second) == pytest.approx((1, 1, 1))
    values = drawn(50, 3)
    assert difference(values, np.zeros(50))[0] == pytest.approx(-3)
    assert difference(np.zeros(50), values) == interval(values)


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (1, 10), (5, 10), (10, 10), (81, 263), (15, 148), (0, 20)])
def test_wilsons_interval_is_scipys(hits, count):
    found = stats.binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson(hits, count) == pytest.approx((hits / count, found.low, found.high), abs=2e-5)


def test_wilsons_interval_as_it_was_published():
    """Newcombe 1998 (Two-sided confidence intervals for the single proportion), table I, method 3."""
    published = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611)}
    published |= {(1, 29): (0.0061, 0.1718)}
    for (hits, count), ends in published.items():
        assert wilson(hits, count)[1:] == pytest.approx(ends, abs=5e-5)


@pytest.mark.parametrize("values", [[3.0, 1.0, 2.0], [1.0, 1.0], [2.0, 2.0, 1.0, 5.0, 2.0, 5.0], [7.0]])
def test_ranks_are_scipys_from_zero(values):
    assert ranks(values) == pytest.approx(stats.rankdata(values) - 1)


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(4)
    for _ in range(5):
        one, other = rng.integers(0, 6, (2, 20)).astype(float)
        assert rank_correlation(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)
    assert rank_correlation([1, 2, 3], [10, 100, 1000]) == pytest.approx(1)
    assert np.isnan(rank_correlation([1, 1, 1], [1, 2, 3])) and np.isnan(rank_correlation([1, 2, 3], [1, 1, 1]))


def test_the_interval_of_a_correlation_is_the_bootstraps_of_95_percent():
    """Pairs drawn anew by another generator and ranked by scipy; the ends of 90% lie 0.08 and 0.04 inside of these."""
    rng = np.random.default_rng(7)
    one = rng.normal(size=20)
    other = one + rng.normal(size=20)
    picks = rng.integers(20, size=(20_000, 20))
    left, right = (stats.zscore(stats.rankdata(values[picks], axis=1), axis=1) for values in (one, other))
    value, low, high = correlation(one, other, 4000)
    assert value == pytest.approx(stats.spearmanr(one, other).statistic)
    assert (low, high) == pytest.approx(np.quantile((left * right).mean(1), (0.025, 0.975)), abs=0.02)


def test_a_draw_of_equal_values_counts_as_no_correlation():
    """Of two pairs half of all draws are of one pair alone, so that the lower end is 0, and not 1 or unknown."""
    assert correlation(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == (pytest.approx(1), 0.0, pytest.approx(1))
