"""Legs and paws."""

from __future__ import annotations

import numpy as np

from limner.starter.painter.animals.contours import coat_edge
from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.solids import line_colour, solid
from limner.starter.painter.canvas import Canvas, darker, ellipse_points, mix
from limner.starter.painter.vocabulary import RGB


def draw_paw(canvas: Canvas, x: float, y: float, rx: float, colour: RGB, shift: float = 0) -> None:
    """A paw with two lines between its toes; `shift` moves the toes towards where it points."""
    solid(canvas, ellipse_points(x, y, rx, 3.4, n=24), colour)
    for dx in (-0.3, 0.3):
        toe = x + dx * rx + shift
        canvas.line([(toe, y + 0.4), (toe, y + 2.4)], line_colour(colour), 0.7, outline=False)


def draw_leg(canvas: Canvas, look: Look, x: float, top: float, shade: float, width: float = 8) -> None:
    """A standing leg from `top` down to the ground; `shade` darkens the far ones."""
    coat = darker(look.coat, shade)
    curly = look.fur == "curly"
    half = width / 2
    leg = solid(canvas, np.array([(x - half - 1, top), (x + half + 1, top), (x + half, -2), (x - half, -2)]), coat)
    with canvas.clip(leg):
        _leg_marks(canvas, look, x, top)
    if curly:
        solid(canvas, coat_edge(ellipse_points(x, -6, 5, 4.4), "curly"), coat)
    draw_paw(canvas, x + 1, -3, half + 1.2, darker(look.paws, shade) if look.paws else coat, 1)


def _leg_marks(canvas: Canvas, look: Look, x: float, top: float) -> None:
    """Bands or dots on one leg, inside the current clip."""
    if "stripes" in look.marks:
        for part in (0.5, 0.72):
            canvas.line(
                [(x - 6, top * (1 - part)), (x + 1.5, top * (1 - part) + 1)], look.mark_colour, 1.6, outline=False
            )
    elif {"spots", "dots"} & set(look.marks):
        canvas.ellipse(x - 1.5, top * 0.55, 1.8, 1.8, look.mark_colour, outline=False)


def draw_front_leg(canvas: Canvas, look: Look, side: int, top: float) -> None:
    """A front leg of the sitting pose: open at its top, where it runs into the chest."""
    outer, inner = side * 11.2, side * 1.2
    canvas.polygon(
        [(side * 10, top), (side * 2.6, top), (inner, -3), (outer - side * 0.8, -3)],
        mix(look.coat, look.belly, 0.25),
        outline=False,
    )
    for x_top, x_foot in ((side * 10.2, outer - side), (side * 2.4, inner + side * 0.4)):
        canvas.line([(x_top, top + 2), (x_foot, -4)], line_colour(look.coat), 0.8)
    _leg_marks(canvas, look, side * 6 + 2, top)
    draw_paw(canvas, side * 6.2, -3.2, 5.6, look.paws or look.coat)
