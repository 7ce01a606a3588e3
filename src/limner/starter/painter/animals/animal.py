"""The whole animal in each pose: sitting from the front, standing and lying from the side."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from limner.starter.painter.animals.body import draw_front_leg, draw_leg, draw_paw, draw_tail, draw_torso, draw_wing
from limner.starter.painter.animals.head import draw_head, eye_position
from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.marks import draw_emblem
from limner.starter.painter.animals.shapes import PoseLayout, coat_edge, line_colour, mirror, solid
from limner.starter.painter.canvas import Canvas, darker, ellipse_points, smooth

HEAD = 18.0  # head units in one head radius


@dataclass(frozen=True)
class Anatomy:
    """Where the parts of a drawn animal are, to place extras on it, in animal units. tilt: of the head, in degrees."""

    head_centre: tuple[float, float]
    head_radius: float
    head_top: tuple[float, float]
    eyes: tuple[tuple[float, float], tuple[float, float]]
    neck_centre: tuple[float, float]
    neck_width: float
    tilt: float


def layout_sitting(look: Look) -> PoseLayout:
    low = 4 * (1 - look.legs)
    half = [(0, -38), (9, -35), (13.5, -25), (16.5, -12), (15, -3), (6, -0.5)]
    torso = smooth([*half, *mirror(half[:0:-1])], steps=5) * (1, 1 - low / 38)
    return PoseLayout(
        torso,
        (0, -46 + low, 17.2),
        (0, -33.5 + low, 20.5),
        (13, -7, 1),
        (0, -21 + low, 9, 13),
        (0, -20.3 + low, 6.6),
        (10, -27 + low),
        True,
    )


def draw_sitting(canvas: Canvas, look: Look, layout: PoseLayout) -> None:
    for side in (-1, 1):
        if "wings" in look.marks:
            draw_wing(canvas, look, side * layout.wing[0], layout.wing[1], side)
        solid(canvas, coat_edge(ellipse_points(side * 14, -9, 8.5, 8.5, n=28), look.fur), darker(look.coat, 0.08))
        draw_paw(canvas, side * 16.5, -3, 6.5, look.paws or look.coat)
    draw_torso(canvas, look, layout)
    top = layout.emblem[1] + 6
    for side in (-1, 1):
        draw_front_leg(canvas, look, side, top)
    draw_emblem(canvas, look, "belly", *layout.emblem)


def layout_standing(look: Look) -> PoseLayout:
    low = 15 * (1 - look.legs)
    spine = [(-28, -31), (-20, -36), (-4, -35), (10, -39), (22, -36), (25, -26), (18, -17), (0, -13.5), (-18, -15)]
    torso = smooth([*spine, (-28, -21)], steps=5) + (0, low)
    return PoseLayout(
        torso,
        (21, -43 + low, 15.2),
        (20.5, -30.5 + low, 18.5),
        (-25, -31 + low, -1),
        (-2, -14 + low, 22, 6),
        (-9, -25.5 + low, 7.2),
        (3, -36.5 + low),
    )


def draw_standing(canvas: Canvas, look: Look, layout: PoseLayout) -> None:
    top = layout.emblem[1] + 4
    for x, shade in ((-13, 0.22), (20, 0.22), (-22, 0), (11.5, 0)):
        draw_leg(canvas, look, x, top, shade)
    draw_torso(canvas, look, layout)
    if "wings" in look.marks:
        draw_wing(canvas, look, *layout.wing, -1)


def layout_lying(look: Look) -> PoseLayout:
    low = 2 * (1 - look.legs)
    back = [(-33, -8), (-29, -20), (-16, -24), (0, -23), (14, -26), (26, -20), (29, -6), (20, -0.5), (-26, -0.5)]
    return PoseLayout(
        smooth(back, steps=5) + (0, low),
        (19, -27 + low, 14.6),
        (18.5, -15.5 + low, 18.5),
        (-28, -8, -1),
        (18, -9, 9, 8),
        (-5, -15, 6.4),
        (2, -25 + low),
    )


def draw_lying(canvas: Canvas, look: Look, layout: PoseLayout) -> None:
    paw = look.paws or look.coat
    draw_torso(canvas, look, layout)
    haunch = [(-31, -3), (-31, -12), (-24, -17.5), (-16, -13), (-14, -4), (-20, -1)]
    canvas.line(haunch[2:5], line_colour(look.coat), 0.8, curve=True)
    draw_paw(canvas, -15, -3.2, 7, paw, 2)
    for x in (12, 26):
        draw_paw(canvas, x, -3.4, 7, paw)
    if "wings" in look.marks:
        draw_wing(canvas, look, *layout.wing, -1)


_LAYOUTS: dict[str, Callable[[Look], PoseLayout]] = {
    "sitting": layout_sitting,
    "standing": layout_standing,
    "lying": layout_lying,
}
_BODIES: dict[str, Callable[[Canvas, Look, PoseLayout], None]] = {
    "sitting": draw_sitting,
    "standing": draw_standing,
    "lying": draw_lying,
}


def draw_animal(canvas: Canvas, look: Look, pose: str, rng: random.Random) -> Anatomy:
    """Draw an animal in animal units and return where its parts are.

    rng: decides the tilt of the head, the bend of the tail, gaze and blink, and nothing else.
    """
    layout = _LAYOUTS[pose](look)
    tilt = rng.uniform(-8, 8)
    draw_tail(canvas, look, layout, pose == "lying", rng)
    _BODIES[pose](canvas, look, layout)
    x, y, radius = layout.head
    scale = radius / HEAD
    with canvas.at(x, y, scale, angle=tilt):
        draw_head(canvas, look, rng)
    c, s = math.cos(math.radians(tilt)) * scale, math.sin(math.radians(tilt)) * scale

    def on_head(u: float, v: float) -> tuple[float, float]:
        return x + c * u - s * v, y + s * u + c * v

    eyes = on_head(*eye_position(look, -1)), on_head(*eye_position(look, 1))
    top = on_head(0, -18 if "topknot" in look.marks else -12.5)
    return Anatomy((x, y), radius, top, eyes, layout.neck[:2], layout.neck[2], tilt)
