"""The result of a sweep: images and scores by cell, curves along the axes, the best guidance, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from limner.core.metrics import MetricResult
from limner.core.requests import Axis, Cell, SweepRequest
from limner.core.text import shorten
from limner.engine.generate.parts import ImagesBySeed
from limner.engine.scoring.scorers import MIN_IMAGES
from limner.stats.intervals import difference, interval

FIDELITY = "prompt_fidelity"
COSTS = ("diversity", "clipping", "saturation", "sharpness")
"""Metrics that a higher guidance is known to change."""
Interval = tuple[float, float, float]
"""A mean, and the ends of its interval."""
UNKNOWN: Interval = (float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class SweepResult:
    """Images and scores by cell. scores: empty for a cell of which images were withheld."""

    request: SweepRequest
    images: Sequence[ImagesBySeed]
    scores: Sequence[Mapping[str, MetricResult]]

    @property
    def cells(self) -> tuple[Cell, ...]:
        return self.request.cells

    @property
    def metrics(self) -> dict[str, MetricResult]:
        """The metrics by name, each as scored in some cell."""
        return dict(next((scores for scores in self.scores if scores), {}))

    def along(self, axis: Axis, metric: str) -> list[np.ndarray]:
        """All values of a metric for each value of an axis, in the same order of the other axes and seeds."""
        place = self.request.axes.index(axis)
        rows = [
            [
                scores[metric].values
                for cell, scores in zip(self.cells, self.scores, strict=True)
                if scores and cell.values[place] == value
            ]
            for value in axis.values
        ]
        return [np.concatenate([np.asarray(part) for part in row]) if row else np.empty(0) for row in rows]

    def curve(self, axis: Axis, metric: str) -> list[Interval]:
        """The mean of a metric and its interval for each value of an axis; NaN where all images were withheld."""
        if len(self.request.axes) == 1:
            found = [scores.get(metric) for scores in self.scores]
            return [(score.mean, score.low, score.high) if score else UNKNOWN for score in found]
        return [interval(values) if len(values) else UNKNOWN for values in self.along(axis, metric)]

    def first_image(self, cell: int) -> Path | None:
        """A cell's image of the first seed, None if it was withheld."""
        return self.images[cell].get(self.cells[cell].request.seed)


@dataclass(frozen=True, slots=True)
class BestGuidance:
    """The recommended value, as it was typed, and the reason in a sentence."""

    value: str
    reason: str


def best_guidance(result: SweepResult) -> BestGuidance | None:
    """The lowest guidance whose prompt fidelity is not significantly below that of any higher one.

    Above it, only the costs of guidance increase. None if guidance was not varied, or prompt fidelity was not measured
    on enough images of each value.
    """
    axis = next((axis for axis in result.request.axes if axis.field == "guidance"), None)
    if axis is None or FIDELITY not in result.metrics or len(axis.values) < 2:
        return None
    ordered = sorted(range(len(axis.values)), key=lambda place: float(axis.values[place]))
    along = result.along(axis, FIDELITY)
    fidelity = [along[place] for place in ordered]
    if len({len(values) for values in fidelity}) > 1 or len(fidelity[0]) < MIN_IMAGES:
        return None
    names = [f"{float(axis.values[place]):g}" for place in ordered]
    chosen = lowest_sufficient(fidelity)
    costs = {
        result.metrics[name].title: [result.curve(axis, name)[place] for place in ordered]
        for name in COSTS
        if name in result.metrics
    }
    return BestGuidance(axis.values[ordered[chosen]], _reason(names, fidelity, chosen, costs))


def lowest_sufficient(rising: Sequence[np.ndarray]) -> int:
    """The index of the first array of values than which no later one is significantly higher, pair by pair."""
    for index, values in enumerate(rising):
        if not any(difference(values, later)[1] > 0 for later in rising[index + 1 :]):
            return index
    raise AssertionError("nothing comes after the last one")


def _reason(
    names: Sequence[str], fidelity: Sequence[np.ndarray], chosen: int, costs: Mapping[str, Sequence[Interval]]
) -> str:
    means = [float(values.mean()) for values in fidelity]
    last = len(names) - 1
    parts = [f"Guidance {names[chosen]} is the best of those tried:"]
    if chosen > 0:
        mean, low, high = difference(fidelity[chosen - 1], fidelity[chosen])
        parts.append(
            f"it follows the prompt better than {names[chosen - 1]} (fidelity {means[chosen]:.3f} against "
            f"{means[chosen - 1]:.3f}, {mean:+.3f} [{low:+.3f}, {high:+.3f}])" + (", and" if chosen < last else ".")
        )
    if chosen == last:
        return " ".join([*parts, "It is the highest value tried; try higher ones too."])
    higher = [f"{mean:.3f} at {name}" for name, mean in zip(names[chosen + 1 :], means[chosen + 1 :], strict=True)]
    listed = ", ".join([f"fidelity {means[chosen]:.3f}", *higher])
    changed = [
        f"{title} {values[chosen][0]:.3g} to {values[last][0]:.3g}"
        for title, values in costs.items()
        if _disjoint(values[chosen], values[last])
    ]
    while_ = f", while other scores change up to {names[last]}: {', '.join(changed)}." if changed else "."
    return " ".join([*parts, f"no higher value follows the prompt significantly better ({listed}){while_}"])


def _disjoint(first: Interval, second: Interval) -> bool:
    """Whether two intervals do not overlap."""
    return bool(np.isfinite((*first, *second)).all() and (first[2] < second[1] or second[2] < first[1]))


def verdict(result: SweepResult) -> str:
    """The recommendation and its reason: the best guidance, or else the best value of the first axis."""
    if (best := best_guidance(result)) is not None:
        return best.reason
    name, score = next(((name, each) for name, each in result.metrics.items() if each.better is not None), ("", None))
    if score is None:
        return "None of the metrics has a better direction; look at the images."
    axis = result.request.axes[0]
    along = zip(axis.values, result.along(axis, name), strict=True)
    complete = [(value, values) for value, values in along if len(values)]
    if not complete or len({len(values) for _, values in complete}) > 1:
        return "Images were withheld by moderation, so the cells cannot be compared; look at the remaining images."
    sign = 1 if score.better == "higher" else -1
    ranked = sorted(complete, key=lambda each: -sign * float(each[1].mean()))
    (best_value, best_values), *others = ranked
    listed = ", ".join(f"{shorten(value, 48)} {float(values.mean()):.3f}" for value, values in ranked)
    if not others:
        return f"{score.title}: {listed}."
    if len(best_values) < MIN_IMAGES:
        return f"Too few images to compare the values of {axis.field} by {score.title}: {listed}."
    worse = [value for value, values in others if difference(sign * values, sign * best_values)[1] > 0]
    if not worse:
        return f"No clear difference in {score.title} between the values of {axis.field}: {listed}."
    rest = "all others" if len(worse) == len(others) else ", ".join(shorten(value, 48) for value in worse)
    return (
        f"Of {axis.field}, {shorten(best_value, 48)} has the best {score.title}, significantly better than {rest}: "
        f"{listed}."
    )
