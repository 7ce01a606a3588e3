"""The exact binomial test of a share above one half, and its power."""

from __future__ import annotations

import numpy as np

LEVEL = 0.025
"""Significance level of the one-sided test: that of a two-sided interval of 95%."""
POWER = 0.8
"""Share of studies that should find an effect (Cohen 1988, section 2.4)."""


def upper_tail(count: int, share: float) -> np.ndarray:
    """P(X >= hits) for X of the binomial distribution, for hits from 0 to count + 1; (count + 2,)."""
    hits = np.arange(count + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = hits * np.log(share) + (count - hits) * np.log1p(-share) if 0 < share < 1 else np.zeros(count + 1)
    chances = np.exp(_log_choose(count) + logs) if 0 < share < 1 else (hits == count * share).astype(float)
    return np.append(np.minimum(1.0, np.cumsum(chances[::-1])[::-1]), 0.0)


def least_hits(count: int, level: float = LEVEL) -> int:
    """The fewest hits of `count` trials that are significantly above one half; count + 1 where none are."""
    return int(np.argmax(upper_tail(count, 0.5) <= level))


def power(count: int, share: float, level: float = LEVEL) -> float:
    """The probability that `count` trials, each a hit with probability `share`, are significantly above one half."""
    return float(upper_tail(count, share)[least_hits(count, level)])


def detectable_share(count: int, wanted: float = POWER, level: float = LEVEL) -> float | None:
    """The smallest share above one half that `count` trials find with the wanted power; None where no share is found.

    By bisection, because the power rises with the share.
    """
    if least_hits(count, level) > count:
        return None
    low, high = 0.5, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if power(count, middle, level) >= wanted else (middle, high)
    return high


def trials_needed(share: float, wanted: float = POWER, level: float = LEVEL, most: int = 2000) -> int:
    """The number of trials from which on a share above one half is found with the wanted power; at most `most`.

    The power of an exact test rises in the shape of a saw (Chernick and Liu 2002), so it is checked for larger numbers.
    """
    short = [count for count in range(1, most) if power(count, share, level) < wanted]
    return short[-1] + 1 if short else 1


def _log_choose(count: int) -> np.ndarray:
    """Logarithms of the binomial coefficients of `count` over 0 to `count`."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    return logs[count] - logs - logs[::-1]
