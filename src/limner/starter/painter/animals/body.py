"""The body of an animal: torso, wings, legs, paws and tail."""

from __future__ import annotations

import random

import numpy as np

from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.marks import COAT_MARKS, draw_emblem
from limner.starter.painter.animals.shapes import PoseLayout, coat_edge, line_colour, modelled, ribbon, solid
from limner.starter.painter.canvas import RGB, Canvas, darker, ellipse_points, mix, smooth


def draw_torso(canvas: Canvas, look: Look, layout: PoseLayout) -> None:
    body = modelled(canvas, coat_edge(layout.torso, look.fur), look.coat)
    with canvas.clip(body):
        canvas.ellipse(*layout.belly, look.belly, outline=False)
        for name, draw in COAT_MARKS.items():
            if name in look.marks:
                draw(canvas, look, layout)
    if not layout.frontal:
        draw_emblem(canvas, look, "belly", *layout.emblem)


def draw_wing(canvas: Canvas, look: Look, x: float, y: float, way: float) -> None:
    """Draw a small feathered wing with its root at (x, y), spread to the right (way 1) or left (-1)."""
    wing = [(-1, 3), (1, -8), (8, -15), (17, -16), (15, -10), (17, -7), (12, -3), (12, 1), (6, 3)]
    points = smooth(np.asarray(wing, float) * (way, 1) + (x, y), steps=4)
    solid(canvas, points, look.part_colour)
    for reach in ((13, -11), (10, -4)):
        tip = (x + way * reach[0], y + reach[1])
        canvas.line([(x + way * 3, y - 1), tip], darker(look.part_colour, 0.25), 0.9, outline=False)


def draw_paw(canvas: Canvas, x: float, y: float, rx: float, colour: RGB, shift: float = 0) -> None:
    """Draw a paw with two lines between its toes, which are moved by `shift`."""
    solid(canvas, ellipse_points(x, y, rx, 3.4, n=24), colour)
    for dx in (-0.3, 0.3):
        toe = x + dx * rx + shift
        canvas.line([(toe, y + 0.4), (toe, y + 2.4)], line_colour(colour), 0.7, outline=False)


def draw_leg(canvas: Canvas, look: Look, x: float, top: float, shade: float, width: float = 8) -> None:
    """Draw a standing leg from y = `top` down to the ground; `shade` darkens the far ones."""
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
    """Draw bands or dots on one leg, inside the current clip."""
    if "stripes" in look.marks:
        for part in (0.5, 0.72):
            canvas.line(
                [(x - 6, top * (1 - part)), (x + 1.5, top * (1 - part) + 1)], look.mark_colour, 1.6, outline=False
            )
    elif {"spots", "dots"} & set(look.marks):
        canvas.ellipse(x - 1.5, top * 0.55, 1.8, 1.8, look.mark_colour, outline=False)


def draw_front_leg(canvas: Canvas, look: Look, side: int, top: float) -> None:
    """Draw a front leg of the sitting pose, without a contour at its top, where it joins the chest."""
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


_TAILS: dict[str, tuple[list[tuple[float, float]], tuple[float, ...]]] = {  # path from the root, and widths
    "slim": ([(-3, 1), (7, 0), (13, -8), (11, -18), (15, -25)], (5.5, 5, 5, 4.6)),
    "plush": ([(-3, 1), (7, 0), (13, -8), (12, -17), (15, -23)], (7, 9, 10, 7)),
    "curl": ([(-3, 3), (7, -4), (10, -14), (4, -20), (-3, -17)], (7, 9, 9, 6)),
    "thin": ([(-3, 2), (6, -4), (11, -13), (12, -22)], (6, 5, 4, 2.4)),
    "feather": ([(-3, 2), (7, -1), (14, -7), (18, -17)], (5, 9, 11, 4)),
    "pompom": ([(-3, 2), (5, -6), (8, -14)], (4.5, 4)),
    "stub": ([(-3, 2), (3, -2), (7, -5)], (8, 7.5)),
}


def draw_tail(canvas: Canvas, look: Look, layout: PoseLayout, flat: bool, rng: random.Random) -> None:
    path, widths = _TAILS[look.tail]
    x, y, way = layout.tail
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
