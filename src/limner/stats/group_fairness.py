"""Group fairness: how far a metric's means differ between groups, and which images are taken for another group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import comb
from typing import Any, Literal

import numpy as np

from limner.core.errors import LimnerError
from limner.core.metrics import MetricResult
from limner.core.requests.evaluate import MISTAKEN
from limner.stats.intervals import DRAWS, interval, wilson
from limner.stats.paired import SIGNIFICANCE


@dataclass(frozen=True, slots=True)
class GroupMean:
    """The scores of one group, which is one value of an attribute: how many, and their mean with its 95% interval."""

    value: str
    count: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GroupGap:
    """How far the means of a metric differ between groups.

    gap: mean of the highest group minus that of the lowest, in the metric's unit, at least 0; low, high: its 95%
    interval. p_value: how often groups of these sizes, drawn at random from all values (or within pairs), have such a
    gap or a larger one. smallest_p_value: the smallest that is possible with so few values, however large the gap.
    better: which direction is better, None where that depends.
    """

    metric: str
    groups: tuple[GroupMean, ...]
    best: str
    worst: str
    gap: float
    low: float
    high: float
    p_value: float
    smallest_p_value: float
    better: Literal["higher", "lower"] | None = None

    @property
    def too_few(self) -> bool:
        """Whether there are too few values for any gap to be significant."""
        return self.smallest_p_value >= SIGNIFICANCE

    @property
    def significant(self) -> bool:
        """Whether the gap is unlikely to be chance."""
        return self.p_value < SIGNIFICANCE

    def as_json(self) -> dict[str, Any]:
        """The values by the keys of report.json."""
        values = asdict(self)
        renamed = {"chance": values.pop("p_value"), "least": values.pop("smallest_p_value")}
        return values | renamed | {"hardly_chance": self.significant}


@dataclass(frozen=True, slots=True)
class GroupConfusion:
    """How many images an encoder takes for those of another group.

    encoder: its name. share, low, high: of all images, with Wilson's 95% interval. by_group: the share of each group
    and the gap between them. taken_for: by group, how many of its images are taken for each other group.
    """

    encoder: str
    share: float
    low: float
    high: float
    by_group: GroupGap
    taken_for: Mapping[str, Mapping[str, int]]

    @property
    def by_guessing(self) -> float:
        """The share that an encoder would reach by guessing."""
        return 1 - 1 / len(self.taken_for)

    def most_taken_for(self, group: str) -> str | None:
        """The group that images of this group are most often taken for, None where they never are."""
        others = self.taken_for[group]
        return max(others, key=lambda name: others[name]) if any(others.values()) else None

    def as_json(self) -> dict[str, Any]:
        """The values by the keys of report.json."""
        return {
            "encoder": self.encoder,
            "all": {"share": self.share, "low": self.low, "high": self.high},
            "by_guessing": self.by_guessing,
            "taken_for": self.taken_for,
            **self.by_group.as_json(),
        }


def values_by_group(groups: Mapping[str, Sequence[int]], scored: MetricResult) -> dict[str, list[float]]:
    """The values of a per-image metric by group. groups: indices of each group's images."""
    if scored.unit != "picture":
        raise LimnerError(f"the metric {scored.metric!r} has no values for single images", "use another metric")
    return {name: [scored.values[i] for i in indices] for name, indices in groups.items()}


def group_gap(
    metric: str,
    values: Mapping[str, Sequence[float]],
    better: Literal["higher", "lower"] | None = "higher",
    paired: bool = False,
) -> GroupGap:
    """The gap between groups of values. better: which direction is better; with None, the highest counts as the best.

    The interval is the basic bootstrap interval (Davison and Hinkley 1997, section 5.2): each group is resampled and
    best and worst are chosen again, because the largest of several differences is biased upwards. paired: value i of
    every group has the same prompt and seed; then pairs are resampled, and the permutation test permutes within pairs
    only, so that differences between prompts are not counted as noise. Raises LimnerError for too few values.
    """
    small = next((name for name, group in values.items() if len(group) < 2), None)
    if len(values) < 2 or small is not None:
        problem = f"the group {small!r} has fewer than two images" if small is not None else "there is only one group"
        raise LimnerError(f"{metric!r} cannot be compared between groups: {problem}", "generate more images")
    arrays = {name: np.asarray(group, dtype=np.float64) for name, group in values.items()}
    if not all(np.isfinite(group).all() for group in arrays.values()):
        raise LimnerError(
            f"{metric!r} cannot be compared between groups: a value is not a finite number", "look at the images"
        )
    assert not paired or len({len(group) for group in arrays.values()}) == 1, "paired groups have the same size"
    groups = tuple(GroupMean(name, len(group), *interval(group)) for name, group in arrays.items())
    highest, lowest = max(groups, key=lambda group: group.mean), min(groups, key=lambda group: group.mean)
    best, worst = (lowest, highest) if better == "lower" else (highest, lowest)
    gap, every = highest.mean - lowest.mean, list(arrays.values())
    resampled, permuted = (
        (_resampled_pairs(every), _permuted_pairs(every)) if paired else (_resampled(every), _permuted(every))
    )
    low, high = np.quantile(resampled, (0.025, 0.975))
    # permutation test (Good 2005); the observed gap counts as one of the draws
    p_value = float((1 + (permuted >= gap - 1e-12).sum()) / (1 + DRAWS))
    bounds = max(0.0, float(2 * gap - high)), max(0.0, float(2 * gap - low))
    smallest = _smallest_p_value([len(group) for group in every], paired)
    return GroupGap(metric, groups, best.value, worst.value, gap, *bounds, p_value, smallest, better)


def group_confusion(encoder: str, similarities: Mapping[str, np.ndarray]) -> GroupConfusion:
    """Count the images that are more similar to the prompt of another group than to that of their own.

    similarities: by group, (n, groups): of its n images with their prompts for each group, in the order of the mapping.
    """
    names = list(similarities)
    taken_for: dict[str, dict[str, int]] = {}
    wrong: dict[str, list[float]] = {}
    for own, name in enumerate(names):
        similarity = similarities[name]
        others = np.where(np.arange(len(names)) == own, -np.inf, similarity)
        taken = others.max(1) > similarity[:, own]
        nearest = others.argmax(1)[taken]
        taken_for[name] = {other: int((nearest == i).sum()) for i, other in enumerate(names) if other != name}
        wrong[name] = taken.astype(float).tolist()
    gap = group_gap(MISTAKEN, wrong, "lower", paired=True)
    groups = tuple(
        replace(group, low=low, high=high)
        for group in gap.groups
        for _, low, high in [wilson(int(sum(wrong[group.value])), group.count)]
    )
    overall = wilson(int(sum(map(sum, wrong.values()))), sum(map(len, wrong.values())))
    return GroupConfusion(encoder, *overall, replace(gap, groups=groups), taken_for)


def _smallest_p_value(sizes: Sequence[int], paired: bool) -> float:
    """The p-value when all values of one group are above, and all of another one below, all others (of their pairs)."""
    ordered = len(sizes) * (len(sizes) - 1)  # which group is above and which below
    if paired:
        return float(ordered) ** (1 - sizes[0])
    first, second = sorted(sizes)[:2]
    return ordered / (comb(sum(sizes), first) * comb(sum(sizes) - first, second))


def _resampled(groups: list[np.ndarray]) -> np.ndarray:
    """Gaps of groups that are resampled separately, (draws,)."""
    rng = np.random.default_rng(0)
    return np.ptp([group[rng.integers(len(group), size=(DRAWS, len(group)))].mean(1) for group in groups], axis=0)


def _resampled_pairs(groups: list[np.ndarray]) -> np.ndarray:
    """Gaps of groups whose pairs are resampled, (draws,)."""
    picks = np.random.default_rng(0).integers(len(groups[0]), size=(DRAWS, len(groups[0])))
    return np.ptp([group[picks].mean(1) for group in groups], axis=0)


def _permuted(groups: list[np.ndarray]) -> np.ndarray:
    """Gaps of groups of the same sizes, drawn from all values, (draws,)."""
    rng, pool = np.random.default_rng(0), np.concatenate(groups)
    cuts = np.cumsum([len(group) for group in groups])[:-1]
    return np.array([np.ptp([part.mean() for part in np.split(rng.permutation(pool), cuts)]) for _ in range(DRAWS)])


def _permuted_pairs(groups: list[np.ndarray]) -> np.ndarray:
    """Gaps where the values of each pair are permuted, (draws,)."""
    rng, pairs = np.random.default_rng(0), np.stack(groups)
    return np.array([np.ptp(rng.permuted(pairs, axis=0).mean(1)) for _ in range(DRAWS)])
