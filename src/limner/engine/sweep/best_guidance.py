"""Which guidance scale to take, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limner.core.requests import Axis
from limner.engine.scoring.scorers import LEAST
from limner.engine.sweep.result import Swept
from limner.stats.intervals import difference

FIDELITY = "prompt_fidelity"
COSTS = {"diversity": "higher", "clipping": "lower", "saturation": "lower", "sharpness": None}
"""What a higher guidance is known to cost, with the better side."""
Value = tuple[float, float, float]
"""A mean with its interval."""


@dataclass(frozen=True, slots=True)
class Spot:
    """The chosen value of an axis, as it was typed, and the reason in a sentence."""

    value: str
    reason: str


def sweet_spot(swept: Swept) -> Spot | None:
    """The lowest guidance whose prompt fidelity is not measurably below that of any higher one.

    Beyond it only what guidance costs goes on growing. None where no guidance was varied, or fidelity not measured with
    enough pictures each.
    """
    axis = next((axis for axis in swept.request.axes if axis.field == "guidance"), None)
    if axis is None or FIDELITY not in swept.metrics or len(axis.values) < 2:
        return None
    ordered = sorted(range(len(axis.values)), key=lambda place: float(axis.values[place]))
    along = swept.along(axis, FIDELITY)
    told = [along[place] for place in ordered]
    if len({len(values) for values in told}) > 1 or len(told[0]) < LEAST:
        return None
    names = [f"{float(axis.values[place]):g}" for place in ordered]
    chosen = lowest_enough(told)
    return Spot(axis.values[ordered[chosen]], _reason(names, told, chosen, _costs(swept, axis, ordered)))


def lowest_enough(rising: Sequence[np.ndarray]) -> int:
    """Index of the first list than which no later one is measurably higher, pair by pair."""
    for index, values in enumerate(rising):
        if not any(difference(values, later)[1] > 0 for later in rising[index + 1 :]):
            return index
    raise AssertionError("nothing comes after the last one")


def _costs(swept: Swept, axis: Axis, ordered: Sequence[int]) -> Mapping[str, list[Value]]:
    """What guidance costs, with its intervals, by the metric's title, from the lowest guidance on."""
    found = {name: swept.metrics[name] for name in COSTS if name in swept.metrics}
    curves = {score.title: swept.curve(axis, name) for name, score in found.items()}
    return {title: [curve[place] for place in ordered] for title, curve in curves.items()}


def _reason(names: Sequence[str], told: Sequence[np.ndarray], chosen: int, costs: Mapping[str, Sequence[Value]]) -> str:
    means = [float(values.mean()) for values in told]
    last = len(names) - 1
    parts = [f"Guidance {names[chosen]} is the sweet spot of those tried:"]
    if chosen > 0:
        lower = difference(told[chosen - 1], told[chosen])
        parts.append(
            f"it follows the prompt better than {names[chosen - 1]} (fidelity {means[chosen]:.3f} against "
            f"{means[chosen - 1]:.3f}, {lower[0]:+.3f} [{lower[1]:+.3f}, {lower[2]:+.3f}])"
            + (", and" if chosen < last else ".")
        )
    if chosen < last:
        parts.append(f"no higher one was shown to follow the prompt better ({_fidelities(names, means, chosen)})")
        moved = [
            f"{title} {values[chosen][0]:.3g} to {values[last][0]:.3g}"
            for title, values in costs.items()
            if _apart(values[chosen], values[last])
        ]
        parts[-1] += f", while up to {names[last]} other things change: {', '.join(moved)}." if moved else "."
    else:
        parts.append("It is the highest that was tried: try higher ones too.")
    return " ".join(parts)


def _apart(first: Value, second: Value) -> bool:
    """Whether two means differ by more than their intervals."""
    return bool(np.isfinite((*first, *second)).all() and (first[2] < second[1] or second[2] < first[1]))


def _fidelities(names: Sequence[str], means: Sequence[float], chosen: int) -> str:
    rest = list(zip(names, means, strict=True))[chosen + 1 :]
    return ", ".join([f"fidelity {means[chosen]:.3f}", *(f"{mean:.3f} at {name}" for name, mean in rest)])
