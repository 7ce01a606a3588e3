"""The best guidance of a sweep: the lowest that follows the prompt as well as any higher one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limner.engine.scoring.scorers import MIN_IMAGES
from limner.engine.sweep.result import Interval, SweepResult
from limner.stats.intervals import difference

FIDELITY = "prompt_fidelity"
COSTS = ("diversity", "clipping", "saturation", "sharpness")
"""Metrics that a higher guidance is known to change."""


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
            f"it follows the prompt better than {names[chosen - 1]} (prompt fidelity {means[chosen]:.3f} against "
            f"{means[chosen - 1]:.3f}, {mean:+.3f} [{low:+.3f}, {high:+.3f}])" + (", and" if chosen < last else ".")
        )
    if chosen == last:
        return " ".join([*parts, "It is the highest value tried; try higher ones too."])
    higher = [f"{mean:.3f} at {name}" for name, mean in zip(names[chosen + 1 :], means[chosen + 1 :], strict=True)]
    listed = ", ".join([f"prompt fidelity {means[chosen]:.3f}", *higher])
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
