"""Confidence intervals of means, shares and rank correlations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DRAWS = 2000
"""Bootstrap and permutation draws."""


def interval(values: Sequence[float] | np.ndarray, share: float = 0.95) -> tuple[float, float, float]:
    """The mean of values (n,) and its percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    For a single value, the interval is from minus to plus infinity.
    """
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return float(array[0]), -np.inf, np.inf
    picks = np.random.default_rng(0).integers(len(array), size=(DRAWS, len(array)))
    low, high = np.quantile(array[picks].mean(1), ((1 - share) / 2, (1 + share) / 2))
    return float(array.mean()), float(low), float(high)


def jackknife(whole: float, without: Sequence[float]) -> tuple[float, float, float]:
    """A statistic of n items and its 95% interval, from the statistic without each item.

    Tukey's jackknife; Efron and Tibshirani 1993, chapter 11.
    """
    left = np.asarray(without, dtype=np.float64)
    error = np.sqrt((len(left) - 1) / len(left) * np.square(left - left.mean()).sum())
    return whole, float(whole - 1.96 * error), float(whole + 1.96 * error)


def difference(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """The mean of second minus first, pair by pair, and its 95% interval."""
    return interval(np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64))


def wilson(hits: int, count: int) -> tuple[float, float, float]:
    """The share hits / count and its 95% interval (Wilson 1927), valid for small counts and shares of 0 or 1 too."""
    share, square = hits / count, 1.96**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = 1.96 / (1 + square / count) * np.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return share, max(0.0, float(middle - half)), min(1.0, float(middle + half))


def ranks(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Ranks from 0 of values (n,); equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse]


def rank_correlation(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    """Spearman's rank correlation of two lists of n values; NaN where one of them is constant."""
    one, other = ranks(first), ranks(second)
    if one.std() == 0 or other.std() == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def correlation(values: np.ndarray, known: np.ndarray, draws: int = 1000) -> tuple[float, float, float]:
    """The rank correlation of (n,) and (n,) and its 95% interval (percentile bootstrap over the pairs).

    A draw in which all values are equal counts as a correlation of 0.
    """
    picks = np.random.default_rng(0).integers(len(values), size=(draws, len(values)))
    one, other = (_drawn_ranks(side, picks) for side in (values, known))
    with np.errstate(invalid="ignore"):
        drawn = np.nan_to_num((one * other).sum(1) / np.sqrt(np.square(one).sum(1) * np.square(other).sum(1)))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return rank_correlation(values, known), float(low), float(high)


def _drawn_ranks(values: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """Ranks minus their mean of the values (n,) in each of m draws, picks (m, n): (m, n); zeros for equal values."""
    distinct, codes = np.unique(values, return_inverse=True)
    drawn = codes[picks]
    rows = drawn + len(distinct) * np.arange(len(picks))[:, None]
    counts = np.bincount(rows.ravel(), minlength=len(distinct) * len(picks)).reshape(len(picks), -1)
    ranked = np.take_along_axis(np.cumsum(counts, axis=1) - (counts + 1) / 2, drawn, axis=1)
    return ranked - (picks.shape[1] - 1) / 2
