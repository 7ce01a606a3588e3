"""What grows on a head besides ears, in head units, and the names of all parts that a look can have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from limner.starter.painter.animals.contours import coat_edge
from limner.starter.painter.animals.look import INK, Look
from limner.starter.painter.animals.solids import solid
from limner.starter.painter.canvas import Canvas, darker, ellipse_points


def _draw_antenna(canvas: Canvas, look: Look) -> None:
    canvas.line([(0, -14), (1, -20), (4.5, -26)], INK, 1.6, curve=True)
    solid(canvas, ellipse_points(5, -28, 3.8, 3.8, n=24), look.part_colour)
    canvas.ellipse(3.9, -29.2, 1.1, 1.1, (255, 255, 255), outline=False)


def _draw_horn(canvas: Canvas, look: Look) -> None:
    solid(
        canvas, np.array([(-4, -12), (-2.2, -20), (0, -31), (2.2, -20), (4, -12), (0, -10.8)], float), look.part_colour
    )
    for y, reach in ((-15, 3.2), (-19, 2.3), (-23, 1.5)):
        canvas.line([(-reach, y + 0.8), (reach, y - 1)], darker(look.part_colour, 0.3), 0.9, outline=False)


def _draw_mohawk(canvas: Canvas, look: Look) -> None:
    crest = [(-6, -12), (-8.5, -22), (-4, -19), (-2.5, -28), (1, -20.5), (5, -26), (5.5, -18.5), (9.5, -20), (6, -12)]
    solid(canvas, np.array([*crest, (0, -9)], float), look.part_colour)


def _draw_topknot(canvas: Canvas, look: Look) -> None:
    solid(canvas, coat_edge(ellipse_points(0, -15.5, 11, 7.5), "curly"), look.mark_colour)


HEAD_PARTS: dict[str, Callable[[Canvas, Look], None]] = {
    "antenna": _draw_antenna,
    "horn": _draw_horn,
    "mohawk": _draw_mohawk,
    "topknot": _draw_topknot,
}
PARTS = (*HEAD_PARTS, "wings", "odd eyes", "coloured ears")
