"""One plain sentence on a sweep."""

from __future__ import annotations

import numpy as np

from limner.core.text import shorten
from limner.engine.scoring.scorers import LEAST
from limner.engine.sweep.best_guidance import sweet_spot
from limner.engine.sweep.result import Swept
from limner.stats.intervals import difference


def verdict(swept: Swept) -> str:
    """What to take, and why: the sweet spot of a guidance axis, or else the best value of the first axis."""
    if (spot := sweet_spot(swept)) is not None:
        return spot.reason
    chosen = next(((name, score) for name, score in swept.metrics.items() if score.better is not None), None)
    if chosen is None:
        return "No metric with a better side was asked for; look at the pictures."
    name, score = chosen
    axis = swept.request.axes[0]
    along = swept.along(axis, name)
    whole = [(value, told) for value, told in zip(axis.values, along, strict=True) if len(told)]
    if not whole or len({len(told) for _, told in whole}) > 1:
        return "Pictures were withheld, so the cells cannot be compared; look at those that are there."
    side = 1 if score.better == "higher" else -1
    ranked = sorted(whole, key=lambda each: -side * float(each[1].mean()))
    told = [f"{shorten(value, 48)} {float(values.mean()):.3f}" for value, values in ranked]
    if len(ranked) == 1:
        return f"{score.title}: {told[0]}."
    if len(ranked[0][1]) < LEAST:
        return f"Too few pictures to tell the values of {axis.field} apart by {score.title}: {', '.join(told)}."
    above = [value for value, values in ranked[1:] if _above(ranked[0][1], values, side)]
    if not above:
        return f"No difference in {score.title} was shown between the values of {axis.field}: {', '.join(told)}."
    rest = "all others" if len(above) == len(ranked) - 1 else ", ".join(shorten(value, 48) for value in above)
    return (
        f"Of {axis.field}, {shorten(ranked[0][0], 48)} has the best {score.title}, measurably better than {rest}: "
        f"{', '.join(told)}."
    )


def _above(best: np.ndarray, other: np.ndarray, side: int) -> bool:
    _, low, high = difference(other, best)
    return low > 0 if side > 0 else high < 0
