"""Tests of the binomial test and its power, against SciPy's distribution."""

from __future__ import annotations

import pytest
from scipy import stats

from limner.stats.binomial import detectable_share, least_hits, power, trials_needed, upper_tail


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("count", [0, 1, 10, 300])
def test_the_tail_is_scipys(count: int, share: float) -> None:
    expected = [stats.binom.sf(hits - 1, count, share) for hits in range(count + 2)]
    assert upper_tail(count, share) == pytest.approx(expected, abs=1e-11)


def test_the_fewest_significant_hits_are_scipys() -> None:
    for count in (6, 10, 40, 200):
        values = [stats.binomtest(hits, count, 0.5, "greater").pvalue for hits in range(count + 1)]
        assert least_hits(count) == next(hits for hits, value in enumerate(values) if value <= 0.025)
    assert [least_hits(count) for count in (0, 5)] == [1, 6], "no result is significant"


def test_the_power_is_the_share_of_significant_results() -> None:
    assert power(40, 0.75) == pytest.approx(stats.binom.sf(least_hits(40) - 1, 40, 0.75))
    assert power(40, 0.5) == pytest.approx(0.0192, abs=1e-4), "the level of the test, as far as whole numbers reach it"
    assert power(5, 1.0) == 0


def test_the_detectable_share_has_the_wanted_power() -> None:
    share = detectable_share(40)
    assert share is not None and power(40, share) >= 0.8 > power(40, share - 1e-6)
    assert detectable_share(5) is None and detectable_share(6) == pytest.approx(0.8 ** (1 / 6))


def test_more_trials_than_needed_are_enough_too() -> None:
    number = trials_needed(0.75, most=200)
    assert power(number - 1, 0.75) < 0.8 and all(power(count, 0.75) >= 0.8 for count in range(number, 200))
    assert any(power(count, 0.75) >= 0.8 for count in range(number - 1)), "the power rises like a saw"
    assert trials_needed(0.75, most=10) == 10
