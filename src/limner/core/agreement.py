"""How far metrics agree with the truth, and which differences matter, as a model's agreement.json records it."""

from __future__ import annotations

from typing import Any

from limner.core.requests import Frozen

AGREES = 0.3
"""The rank correlation with the truth that a metric must have, with its whole interval, to be a default and to decide a
verdict.
"""
FILE = "agreement.json"
"""The record's name in the folder of a model."""


class Agreement(Frozen):
    """Spearman's correlation of n values of a metric with the truth, negated if they should fall, so that 1 is best.

    network: of the metric, None if it uses none. low, high: the 95% interval (percentile bootstrap over the pairs).
    """

    metric: str
    network: str | None = None
    truth: str
    n: int
    correlation: float
    low: float
    high: float


class SmallestDifference(Frozen):
    """The smallest difference of a metric's means that matters: most pairs of equally good sets differ by less.

    network: of the metric, None if it uses none. sets: what they are. images: in each set, or groups of images if the
    metric scores those. pairs: how many pairs of sets were compared. value: a difference that 95% of them do not reach.
    """

    metric: str
    network: str | None = None
    sets: str
    images: int
    pairs: int
    value: float


class AgreementRecord(Frozen):
    """The agreement of all metrics on images of a model. model: what identifies it. size: number of images per case."""

    model: dict[str, Any]
    size: int
    agreement: tuple[Agreement, ...]
    differences: tuple[SmallestDifference, ...] = ()

    def lowest(self, metric: str, network: str | None) -> Agreement | None:
        """The least certain agreement of a metric by a network with any truth; None if it was not measured."""
        those = (each for each in self.agreement if (each.metric, each.network) == (metric, network))
        return min(those, key=lambda each: each.low, default=None)

    def smallest(self, metric: str, network: str | None) -> float | None:
        """The smallest difference of a metric by a network that matters; None if it was not measured."""
        those = (each for each in self.differences if (each.metric, each.network) == (metric, network))
        return max((each.value for each in those), default=None)
