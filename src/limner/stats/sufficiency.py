"""How much feedback is enough: which accuracy the held-out pairs could tell from chance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from limner.core.text import counted
from limner.stats.binomial import detectable_share, trials_needed

LEAST = 50
"""Pairs below which training is not worth a try."""
EXPECTED = 0.75
"""Accuracy on held-out pairs that an improvement aims at."""


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """Whether there are enough pairs.

    pairs: for training and evaluation together. held_out: of these. detectable: the smallest true accuracy that the
    held-out pairs tell from chance (exact binomial test at the 95% level, power 80%); None where even perfect accuracy
    is not. needed: how many pairs would be enough for the expected accuracy.
    """

    pairs: int
    held_out: int
    detectable: float | None
    needed: int

    @property
    def enough(self) -> bool:
        """Whether the expected accuracy can be told from chance."""
        return self.pairs >= LEAST and self.detectable is not None and self.detectable <= EXPECTED

    @property
    def problem(self) -> str:
        """What is wrong with the number of pairs; "" where they are enough."""
        if self.enough:
            return ""
        too_few = f"{counted(self.pairs, 'pair')} {'is' if self.pairs == 1 else 'are'} too little feedback"
        if self.detectable is None:
            return f"{too_few}: {counted(self.held_out, 'held-out pair')} cannot show whether it was learnt"
        if self.pairs < LEAST:
            return f"{too_few}: with fewer than {LEAST}, results are mostly chance"
        return (
            f"{counted(self.pairs, 'pair')} are little feedback: {counted(self.held_out, 'held-out pair')} show an "
            f"accuracy of {self.detectable:.0%} or more, and not one of {EXPECTED:.0%}"
        )

    @property
    def remedy(self) -> str:
        """How much would be enough."""
        if self.pairs >= self.needed:
            return "hold out a larger share, or collect feedback on more prompts"
        more = self.needed - self.pairs
        return f"{self.needed:,} pairs would be enough; collect {more:,} more"


def sufficiency(pairs: int, held_out: int, share: float = 0.2) -> Sufficiency:
    """Whether there are enough pairs. share: of the pairs that is held out."""
    needed = max(LEAST, ceil(_trials_needed() / share))
    return Sufficiency(pairs, held_out, detectable_share(min(held_out, 2000)), needed)


@lru_cache(1)
def _trials_needed() -> int:
    return trials_needed(EXPECTED, most=500)
