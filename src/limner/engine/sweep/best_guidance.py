"""The best guidance of a sweep: the lowest that follows the prompt as well as any higher one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from limner.engine.scoring.evidence import Evidence
from limner.engine.sweep.edge import edge_of
from limner.engine.sweep.result import Interval, SweepResult

FIDELITY = "prompt_fidelity"
COSTS = ("diversity", "clipping", "saturation", "sharpness")
"""Metrics that a higher guidance is known to change."""


@dataclass(frozen=True, slots=True)
class BestGuidance:
    """The recommended value, as it was typed, and the reason in a sentence."""

    value: str
    reason: str


def best_guidance(result: SweepResult, tests: int | None = None) -> BestGuidance | None:
    """The lowest guidance than which no higher one has a significantly better prompt fidelity.

    Above it, only the costs of guidance increase. None without evidence: if prompt fidelity was not measured, does not
    agree with the truth on the model, has too few images, or does not differ significantly between neighbours. tests:
    the number of differences that are judged, also of other settings (default: all pairs of values).
    """
    axis = next((axis for axis in result.request.axes if axis.field == "guidance"), None)
    if axis is None or FIDELITY not in result.metrics or FIDELITY in result.doubts or len(axis.values) < 2:
        return None
    ordered = sorted(range(len(axis.values)), key=lambda place: float(axis.values[place]))
    along = result.along(axis, FIDELITY)
    fidelity = [along[place] for place in ordered]
    if len({len(values) for values in fidelity}) > 1 or not len(fidelity[0]):
        return None
    chosen = lowest_sufficient(fidelity, tests, result.smallest.get(FIDELITY, 0.0))
    if chosen is None:
        return None
    names = [f"{float(axis.values[place]):g}" for place in ordered]
    costs = {
        result.metrics[name].title: [result.curve(axis, name)[place] for place in ordered]
        for name in COSTS
        if name in result.metrics
    }
    value = axis.values[ordered[chosen]]
    edge = edge_of(axis, value)
    return BestGuidance(value, " ".join(filter(None, [_reason(names, fidelity, chosen, costs), edge])))


def lowest_sufficient(rising: Sequence[np.ndarray], tests: int | None = None, smallest: float = 0.0) -> int | None:
    """The index of the first array of values than which no later one is significantly higher, pair by pair.

    None without evidence that it is better than the one before it, or, as the first, than any later one. smallest: the
    smallest difference that matters.
    """
    tests = tests or comb(len(rising), 2)

    def gain(before: np.ndarray, after: np.ndarray) -> float:
        """The mean difference, 0 where it may be chance or too small to matter."""
        found = Evidence.of(before, after, tests, smallest=smallest)
        return found.mean if found.sufficient else 0.0

    def improved(index: int) -> bool:
        return any(gain(rising[index], later) > 0 for later in rising[index + 1 :])

    chosen = next(index for index in range(len(rising)) if not improved(index))
    if chosen:
        return chosen if gain(rising[chosen - 1], rising[chosen]) > 0 else None
    return chosen if any(gain(rising[0], later) < 0 for later in rising[1:]) else None


def _reason(
    names: Sequence[str], fidelity: Sequence[np.ndarray], chosen: int, costs: Mapping[str, Sequence[Interval]]
) -> str:
    means = [float(values.mean()) for values in fidelity]
    last = len(names) - 1
    parts = [f"Guidance {names[chosen]} is the best of those tried:"]
    if chosen > 0:
        found = Evidence.of(fidelity[chosen - 1], fidelity[chosen])
        parts.append(
            f"it follows the prompt better than {names[chosen - 1]} (prompt fidelity {means[chosen]:.3f} against "
            f"{means[chosen - 1]:.3f}, {found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}])"
            + (", and" if chosen < last else ".")
        )
    if chosen == last:
        return " ".join(parts)
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
