"""Whether a model serves all alike: the same prompt for each value of an attribute, and how far the scores part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np

from limner.core.errors import LimnerError
from limner.core.metrics import MetricResult
from limner.stats.intervals import DRAWS, interval

HARDLY = 0.05
"""A chance below this is hardly one."""


@dataclass(frozen=True, slots=True)
class Group:
    """The scores of one value of the attribute: how many, and their mean with its 95% interval."""

    value: str
    count: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Fairness:
    """How a metric's values part by group.

    gap: mean of the best group less that of the worst, in the metric's own unit, at least 0; low, high: its 95%
    interval. better: which way is better, None where that depends. chance: how often groups of these sizes, drawn from
    all values, or of pairs within each, without regard to the attribute, part as far or farther; below HARDLY the gap
    is hardly chance. least: the smallest that this could be with so few values, however far the groups part.
    """

    metric: str
    groups: tuple[Group, ...]
    best: str
    worst: str
    gap: float
    low: float
    high: float
    chance: float
    least: float
    better: Literal["higher", "lower"] | None = None

    @property
    def few(self) -> bool:
        """Whether there are too few values for any gap to be more than chance."""
        return self.least >= HARDLY

    @property
    def shown(self) -> bool:
        """Whether chance hardly explains the gap."""
        return self.chance < HARDLY


def by_group(groups: Mapping[str, Sequence[int]], scored: MetricResult) -> dict[str, list[float]]:
    """The values of a metric of pictures by group. groups: the indices of each one's pictures."""
    if scored.unit != "picture":
        raise LimnerError(
            f"the metric {scored.metric!r} tells nothing of single pictures", "compare groups by another one"
        )
    return {name: [scored.values[i] for i in chosen] for name, chosen in groups.items()}


def fairness(
    metric: str,
    values: Mapping[str, Sequence[float]],
    better: Literal["higher", "lower"] | None = "higher",
    paired: bool = False,
) -> Fairness:
    """Compare groups by their values. better: which way is better; where that depends, the highest counts as the best.

    The gap's interval is the basic bootstrap's (Davison and Hinkley 1997, section 5.2), each group resampled by itself
    and best and worst chosen anew, for the largest of several differences is too large on average. paired: value i of
    every group is of the same prompt and seed; then pairs are resampled, and chance may move values within pairs only,
    so that what prompts differ by is no noise.
    """
    small = next((name for name, told in values.items() if len(told) < 2), None)
    if len(values) < 2 or small is not None:
        problem = f"the group {small!r} has fewer than two pictures" if small is not None else "there is one group only"
        raise LimnerError(f"fairness of {metric!r} cannot be told: {problem}", "paint more")
    told = {name: np.asarray(group, dtype=np.float64) for name, group in values.items()}
    if not all(np.isfinite(group).all() for group in told.values()):
        raise LimnerError(f"fairness of {metric!r} cannot be told: a value is no number", "look at the pictures")
    assert not paired or len({len(group) for group in told.values()}) == 1, "pairs are of groups of one size"
    groups = tuple(Group(name, len(group), *interval(group)) for name, group in told.items())
    highest, lowest = max(groups, key=lambda group: group.mean), min(groups, key=lambda group: group.mean)
    best, worst = (lowest, highest) if better == "lower" else (highest, lowest)
    gap, every = highest.mean - lowest.mean, list(told.values())
    resampled, shuffled = (_paired(every), _shuffled(every)) if paired else (_apart(every), _pooled(every))
    low, high = np.quantile(resampled, (0.025, 0.975))
    # by permutation (Good 2005); the gap as it is counts as one of the draws
    chance = float((1 + (shuffled >= gap - 1e-12).sum()) / (1 + DRAWS))
    bounds = max(0.0, float(2 * gap - high)), max(0.0, float(2 * gap - low))
    least = _least([len(group) for group in every], paired)
    return Fairness(metric, groups, best.value, worst.value, gap, *bounds, chance, least, better)


def _least(sizes: Sequence[int], paired: bool) -> float:
    """How often all values of one group would lie above all others of their pairs, and all of another one below."""
    ordered = len(sizes) * (len(sizes) - 1)  # which group is above and which below
    if paired:
        return float(ordered) ** (1 - sizes[0])
    first, second = sorted(sizes)[:2]
    return ordered / (comb(sum(sizes), first) * comb(sum(sizes) - first, second))


def _apart(groups: list[np.ndarray]) -> np.ndarray:
    """Gaps of groups that are resampled each by itself, (draws,)."""
    rng = np.random.default_rng(0)
    return np.ptp([group[rng.integers(len(group), size=(DRAWS, len(group)))].mean(1) for group in groups], axis=0)


def _paired(groups: list[np.ndarray]) -> np.ndarray:
    """Gaps of groups that are resampled together, (draws,)."""
    picks = np.random.default_rng(0).integers(len(groups[0]), size=(DRAWS, len(groups[0])))
    return np.ptp([group[picks].mean(1) for group in groups], axis=0)


def _pooled(groups: list[np.ndarray]) -> np.ndarray:
    """Gaps of groups of the same sizes, drawn from all values, (draws,)."""
    rng, pool = np.random.default_rng(0), np.concatenate(groups)
    cuts = np.cumsum([len(group) for group in groups])[:-1]
    return np.array([np.ptp([part.mean() for part in np.split(rng.permutation(pool), cuts)]) for _ in range(DRAWS)])


def _shuffled(groups: list[np.ndarray]) -> np.ndarray:
    """Gaps where the values of each pair are dealt out anew, (draws,)."""
    rng, pairs = np.random.default_rng(0), np.stack(groups)
    return np.array([np.ptp(rng.permuted(pairs, axis=0).mean(1)) for _ in range(DRAWS)])
