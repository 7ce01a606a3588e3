"""The markings of a coat, drawn inside the torso."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from limner.starter.painter.animals.contours import mirror, ribbon
from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.plan import Plan
from limner.starter.painter.canvas import Canvas, Points


def _fractions(torso: np.ndarray, places: Points) -> np.ndarray:
    """Places given as fractions of the torso's bounding box, in animal units."""
    low, high = torso.min(0), torso.max(0)
    return low + np.asarray(places, float) * (high - low)


_SPOT_PLACES = (
    (0.1, 0.45),
    (0.24, 0.2),
    (0.3, 0.68),
    (0.46, 0.4),
    (0.62, 0.12),
    (0.66, 0.62),
    (0.84, 0.36),
    (0.9, 0.75),
)
_FRONTAL_SPOT_PLACES = ((0.22, 0.34), (0.5, 0.42), (0.72, 0.24), (0.78, 0.5), (0.32, 0.1), (0.08, 0.72), (0.93, 0.76))


def _spot_places(plan: Plan) -> np.ndarray:
    return _fractions(plan.torso, _FRONTAL_SPOT_PLACES if plan.frontal else _SPOT_PLACES)


def _spots(canvas: Canvas, look: Look, plan: Plan) -> None:
    for k, (x, y) in enumerate(_spot_places(plan)):
        size = (2.9, 2.1, 2.5)[k % 3]
        canvas.ellipse(x, y, size, size * 0.86, look.mark_colour, angle=40 * k, outline=False)


def _dots(canvas: Canvas, look: Look, plan: Plan) -> None:
    for x, y in _spot_places(plan):
        canvas.ellipse(x, y, 2.7, 2.7, look.mark_colour, outline=False)


def _stripe_paths(plan: Plan) -> list[np.ndarray]:
    """Stripes from the flanks inward (sitting) or from the back downward."""
    if plan.frontal:
        places = [
            [(edge, y), (edge + way * 0.2, y + 0.02), (edge + way * 0.32, y - 0.02)]
            for y in (0.34, 0.52, 0.7)
            for edge, way in ((0, 1), (1, -1))
        ]
    else:
        places = [[(x, -0.05), (x - 0.025, 0.25), (x + 0.02, 0.52)] for x in (0.1, 0.23, 0.36, 0.49, 0.62)]
    return [_fractions(plan.torso, place) for place in places]


def _stripes(canvas: Canvas, look: Look, plan: Plan) -> None:
    for path in _stripe_paths(plan):
        canvas.polygon(ribbon(path, (4.2, 3, 0.8)), look.mark_colour, outline=False)


def _zigzags(canvas: Canvas, look: Look, plan: Plan) -> None:
    for y in (0.34, 0.56) if plan.frontal else (0.42, 0.7):
        steps = np.arange(11)
        places = np.stack([steps / 10, y + 0.07 * (-1.0) ** steps], axis=1)
        canvas.line(_fractions(plan.torso, places), look.mark_colour, 2.2, outline=False)


def _patches(canvas: Canvas, look: Look, plan: Plan) -> None:
    for (x, y), size, colour in zip(
        _fractions(plan.torso, ((0.16, 0.32), (0.6, 0.18), (0.92, 0.58))),
        (8.5, 7, 8.5),
        (look.other_mark_colour, look.mark_colour, look.other_mark_colour),
        strict=True,
    ):
        wave = [(-1, -0.2), (-0.4, -1), (0.5, -0.8), (1, 0), (0.6, 0.9), (-0.3, 0.7)]
        canvas.blob(np.asarray(wave) * size + (x, y), colour, outline=False)


def _saddle(canvas: Canvas, look: Look, plan: Plan) -> None:
    if plan.frontal:
        flank = np.array([(-24, -42), (-9, -36), (-8, -24), (-12, -12), (-24, -10)], float)
        for part in (flank, mirror(flank)):
            canvas.blob(part, look.mark_colour, outline=False)
        return
    cape = [(-0.02, -0.1), (0.6, -0.2), (0.72, 0.2), (0.5, 0.52), (0.25, 0.46), (0.02, 0.6)]
    canvas.blob(_fractions(plan.torso, cape), look.mark_colour, outline=False)


def _bib(canvas: Canvas, look: Look, plan: Plan) -> None:
    x, y, width = plan.neck
    canvas.ellipse(x + (0 if plan.frontal else 3), y + 5, width * 0.5, 12, look.mark_colour, outline=False)


COAT_MARKS: dict[str, Callable[[Canvas, Look, Plan], None]] = {
    "spots": _spots,
    "dots": _dots,
    "stripes": _stripes,
    "zigzags": _zigzags,
    "patches": _patches,
    "saddle": _saddle,
    "bib": _bib,
}
