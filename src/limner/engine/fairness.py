"""Whether a model serves all alike: the same prompt for each value of an attribute, and how far the scores part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..core.errors import LimnerError
from ..core.metrics import Gallery, Scored
from .statistics import DRAWS, interval

SLOT = "{}"


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
    interval. chance: how often groups of these sizes, drawn from all values without regard to the attribute, part as
    far or farther; below 0.05 the gap is hardly chance.
    """

    metric: str
    groups: tuple[Group, ...]
    best: str
    worst: str
    gap: float
    low: float
    high: float
    chance: float


def prompts_for(template: str, values: Sequence[str]) -> list[str]:
    """The same prompt for each value, which stands where the template has {}."""
    if template.count(SLOT) != 1:
        raise LimnerError(f"the prompt {template[:80]!r} has no one place for the value", "write {} where it stands")
    if len(set(values)) < 2:
        raise LimnerError("fairness compares two values at least", "give more of them")
    return [template.replace(SLOT, value) for value in dict.fromkeys(values)]


def by_group(gallery: Gallery, scored: Scored) -> dict[str, list[float]]:
    """The values of a metric of pictures by the groups of what was scored."""
    if scored.unit != "picture":
        raise LimnerError(
            f"the metric {scored.metric!r} tells nothing of single pictures", "compare groups by another one"
        )
    return {name: [scored.values[i] for i in chosen] for name, chosen in gallery.groups.items()}


def fairness(
    metric: str, values: Mapping[str, Sequence[float]], better: Literal["higher", "lower"] | None = "higher"
) -> Fairness:
    """Compare groups by their values. better: which way is better; where that depends, the highest counts as the best.

    The gap's interval is the basic bootstrap's (Davison and Hinkley 1997, section 5.2), each group resampled by itself
    and best and worst chosen anew, for the largest of several differences is too large on average.
    """
    small = next((name for name, told in values.items() if len(told) < 2), None)
    if len(values) < 2 or small is not None:
        problem = f"the group {small!r} has fewer than two pictures" if small is not None else "there is one group only"
        raise LimnerError(f"fairness of {metric!r} cannot be told: {problem}", "paint more")
    told = {name: np.asarray(group, dtype=np.float64) for name, group in values.items()}
    if not all(np.isfinite(group).all() for group in told.values()):
        raise LimnerError(f"fairness of {metric!r} cannot be told: a value is no number", "look at the pictures")
    groups = tuple(Group(name, len(group), *interval(group)) for name, group in told.items())
    highest, lowest = max(groups, key=lambda group: group.mean), min(groups, key=lambda group: group.mean)
    best, worst = (lowest, highest) if better == "lower" else (highest, lowest)
    gap = highest.mean - lowest.mean
    low, high = _gap_interval(list(told.values()), gap)
    return Fairness(metric, groups, best.value, worst.value, gap, low, high, _chance(list(told.values()), gap))


def _gap_interval(groups: list[np.ndarray], gap: float, share: float = 0.95) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = np.stack([group[rng.integers(len(group), size=(DRAWS, len(group)))].mean(1) for group in groups])
    low, high = np.quantile(np.ptp(means, axis=0), ((1 - share) / 2, (1 + share) / 2))
    return max(0.0, float(2 * gap - high)), max(0.0, float(2 * gap - low))


def _chance(groups: list[np.ndarray], gap: float) -> float:
    """By permutation (Good 2005); the gap as it is counts as one of the draws."""
    rng, pool = np.random.default_rng(0), np.concatenate(groups)
    cuts = np.cumsum([len(group) for group in groups])[:-1]
    shuffled = rng.permuted(np.tile(pool, (DRAWS, 1)), axis=1)
    means = np.stack([part.mean(1) for part in np.split(shuffled, cuts, axis=1)])
    return float((1 + (np.ptp(means, axis=0) >= gap - 1e-12).sum()) / (1 + DRAWS))
