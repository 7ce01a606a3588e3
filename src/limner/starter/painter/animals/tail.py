"""The tail in each of its forms."""

from __future__ import annotations

import random

import numpy as np

from limner.starter.painter.animals.contours import coat_edge, ribbon
from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.plan import Plan
from limner.starter.painter.animals.solids import solid
from limner.starter.painter.canvas import Canvas, ellipse_points

# For each tail form: its path from the root outward, and its widths.
_TAILS: dict[str, tuple[list[tuple[float, float]], tuple[float, ...]]] = {
    "slim": ([(-3, 1), (7, 0), (13, -8), (11, -18), (15, -25)], (5.5, 5, 5, 4.6)),
    "plush": ([(-3, 1), (7, 0), (13, -8), (12, -17), (15, -23)], (7, 9, 10, 7)),
    "curl": ([(-3, 3), (7, -4), (10, -14), (4, -20), (-3, -17)], (7, 9, 9, 6)),
    "thin": ([(-3, 2), (6, -4), (11, -13), (12, -22)], (6, 5, 4, 2.4)),
    "feather": ([(-3, 2), (7, -1), (14, -7), (18, -17)], (5, 9, 11, 4)),
    "pompom": ([(-3, 2), (5, -6), (8, -14)], (4.5, 4)),
    "stub": ([(-3, 2), (3, -2), (7, -5)], (8, 7.5)),
}


def draw_tail(canvas: Canvas, look: Look, plan: Plan, flat: bool, rng: random.Random) -> None:
    path, widths = _TAILS[look.tail]
    x, y, way = plan.tail
    bend = rng.uniform(-2.5, 2.5)
    reach = np.linspace(0, 1, len(path))
    points = np.asarray(path, float) * ((way * 0.85, 0.62) if flat else (way, 1)) + (x, y)
    points[:, 0] += bend * reach**2
    colour = look.tail_colour or look.coat
    fur = look.fur if look.tail in ("plush", "feather") else "smooth"
    band = solid(canvas, coat_edge(ribbon(points, widths), fur), colour)
    tip = points[-1]
    if look.tail == "pompom":
        solid(canvas, coat_edge(ellipse_points(tip[0], tip[1], 6, 6), "curly"), colour)
    with canvas.clip(band):
        if {"stripes", "zigzags"} & set(look.marks):
            for k in range(2, len(points)):
                canvas.ellipse(points[k, 0], points[k, 1], 4.2, 1.3, look.mark_colour, outline=False)
        elif look.tail in ("curl", "feather", "thin") and "mask" in look.marks:
            canvas.ellipse(tip[0], tip[1], 5, 5, look.belly, outline=False)
