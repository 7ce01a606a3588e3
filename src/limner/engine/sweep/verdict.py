"""The verdict of a sweep."""

from __future__ import annotations

from limner.core.text import shorten
from limner.engine.scoring.scorers import MIN_IMAGES
from limner.engine.sweep.best_guidance import best_guidance
from limner.engine.sweep.result import SweepResult
from limner.stats.intervals import difference


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
