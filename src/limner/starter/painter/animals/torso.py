"""The torso in its coat, and the wings on it."""

from __future__ import annotations

import numpy as np

from limner.starter.painter.animals.coat import COAT_MARKS
from limner.starter.painter.animals.contours import coat_edge
from limner.starter.painter.animals.emblems import draw_emblem
from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.plan import Plan
from limner.starter.painter.animals.solids import modelled, solid
from limner.starter.painter.canvas import Canvas, darker, smooth


def draw_torso(canvas: Canvas, look: Look, plan: Plan) -> None:
    body = modelled(canvas, coat_edge(plan.torso, look.fur), look.coat)
    with canvas.clip(body):
        canvas.ellipse(*plan.belly, look.belly, outline=False)
        for name, draw in COAT_MARKS.items():
            if name in look.marks:
                draw(canvas, look, plan)
    if not plan.frontal:
        draw_emblem(canvas, look, "belly", *plan.emblem)


def draw_wing(canvas: Canvas, look: Look, x: float, y: float, way: float) -> None:
    """A tiny feathered wing with its root at (x, y), spread towards `way` (1 is right)."""
    wing = [(-1, 3), (1, -8), (8, -15), (17, -16), (15, -10), (17, -7), (12, -3), (12, 1), (6, 3)]
    points = smooth(np.asarray(wing, float) * (way, 1) + (x, y), steps=4)
    solid(canvas, points, look.part_colour)
    for reach in ((13, -11), (10, -4)):
        tip = (x + way * reach[0], y + reach[1])
        canvas.line([(x + way * 3, y - 1), tip], darker(look.part_colour, 0.25), 0.9, outline=False)
