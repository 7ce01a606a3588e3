"""What a verdict rests on: a metric that agrees with the truth, enough pairs, and a difference that is not chance and
that matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from limner.stats.intervals import interval
from limner.stats.paired import SIGNIFICANCE, pairs_needed, sign_flip

POWER = 2.8
"""Standard errors that a mean must be away from zero to be significant in four of five repetitions (1.96 + 0.84)."""
MANY = 100_000
"""Above so many pairs, no number is named that would be enough."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A mean paired difference with its 95% interval, and whether a verdict may rest on it.

    p_value: the probability of such a difference by chance (sign-flip permutation). count: number of pairs. tests: how
    many differences are judged at once, of which one is to be chance in twenty cases. distrust: why the metric does not
    decide, None if it agrees with the truth. smallest: the smallest difference that matters. The interval of a single
    pair is from minus to plus infinity.
    """

    mean: float
    low: float
    high: float
    p_value: float
    count: int
    tests: int = 1
    distrust: str | None = None
    smallest: float = 0.0

    @classmethod
    def of(
        cls,
        first: Sequence[float] | np.ndarray,
        second: Sequence[float] | np.ndarray,
        tests: int = 1,
        distrust: str | None = None,
        smallest: float = 0.0,
    ) -> Evidence:
        """Evidence that `second` differs from `first`, pair by pair: (n,) each, of which n is at least 1."""
        pairs = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
        return cls(*interval(pairs), float(sign_flip(pairs[:, None])[0]), len(pairs), tests, distrust, smallest)

    @property
    def enough_pairs(self) -> bool:
        return self.count >= pairs_needed(self.tests)

    @property
    def significant(self) -> bool:
        """Whether the difference is more than chance: there are enough pairs, and interval and test exclude zero."""
        unlikely = self.enough_pairs and self.p_value < SIGNIFICANCE / self.tests
        return unlikely and (self.low > 0 or self.high < 0)

    @property
    def sufficient(self) -> bool:
        """Whether a verdict may rest on it: the whole interval lies beyond the smallest difference that matters."""
        beyond = self.low > self.smallest or self.high < -self.smallest
        return self.distrust is None and self.significant and beyond

    @property
    def negligible(self) -> bool:
        """Whether there is no difference that matters: the whole interval lies below the smallest one that does."""
        within = -self.smallest < self.low and self.high < self.smallest
        return self.distrust is None and self.enough_pairs and within

    def lack(self, of: str, more: str, instead: str) -> str | None:
        """What is missing for a verdict, and what would be enough; None if it is sufficient.

        of: what pairs are, in the plural. more: how to get more of them. instead: what to do if the metric does not
        decide.
        """
        if self.distrust is not None:
            return f"{self.distrust}; {instead}"
        needed = pairs_needed(self.tests)
        if not self.enough_pairs:
            return f"{self.count} {of} are too few; at least {needed} are needed: {more}"
        if self.sufficient:
            return None
        equal = f"equally good images differ by up to {self.smallest:.3g}"
        if self.negligible:
            return f"there is no difference that matters, because {equal}"
        chance = f"the difference may be chance (probability {self.p_value:.2g} over {self.count} {of})"
        if self.significant:
            chance = f"the difference may be too small to matter ({equal})"
        wanted = self._wanted()
        if wanted is None:
            return chance if self.significant else f"{chance}, and is small at most"
        return f"{chance}; if it is not, about {wanted:,} would show it: {more}"

    def _wanted(self) -> int | None:
        """How many pairs would probably show a difference of this size; None where they would be too many."""
        error = (self.high - self.low) / (2 * 1.96)
        margin = abs(self.mean) - self.smallest
        if margin <= 0 or not np.isfinite(error):
            return None
        wanted = max(self.count + 1, ceil(self.count * (POWER * error / margin) ** 2))
        return wanted if wanted <= MANY else None
