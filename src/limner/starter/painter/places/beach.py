"""The beach: sea, sand, palms and what people bring."""

from __future__ import annotations

import random

import numpy as np

from limner.starter.painter.canvas import SIZE, Canvas, darker, ellipse_points, lighter, mix, smooth
from limner.starter.painter.places.borders import one_side
from limner.starter.painter.places.ground import draw_ridge
from limner.starter.painter.places.mood import Mood
from limner.starter.painter.places.palette import WHITE
from limner.starter.painter.places.sky import draw_sky
from limner.starter.painter.places.touches import dot, patch
from limner.starter.painter.vocabulary import RGB


def draw_beach(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    horizon = rng.uniform(54, 62)
    draw_sky(canvas, mood, light, rng, horizon)
    sea, sand = mood.shade((44, 152, 206)), mood.shade((244, 216, 158))
    canvas.rectangle(-2, horizon, SIZE + 2, 100, sea)
    canvas.rectangle(-2, horizon, SIZE + 2, horizon + 6, mix(sea, mood.bottom, 0.25), outline=False)
    canvas.rectangle(-2, horizon + 16, SIZE + 2, 100, mix(sea, (84, 214, 210), 0.4), outline=False)
    for _ in range(9):
        x, y, w = rng.uniform(0, 120), rng.uniform(horizon + 3, 80), rng.uniform(5, 12)
        canvas.rectangle(x, y, x + w, y + 0.8, lighter(sea, 0.35), outline=False)
    if rng.random() < 0.6:
        _sailboat(canvas, one_side(rng, 40, 16), horizon + 3, mood, rng)
    state = rng.getstate()
    draw_ridge(canvas, rng, 83, 2, 7, lighter(sea, 0.75), outline=False)
    rng.setstate(state)
    draw_ridge(canvas, rng, 85.5, 2, 7, sand)
    draw_ridge(canvas, rng, 106, 3, 5, lighter(sand, 0.14), outline=False)
    for _ in range(8):
        dot(canvas, rng.uniform(2, 126), rng.uniform(92, 126), 0.7, darker(sand, 0.16))
    sides = [False, True]
    rng.shuffle(sides)
    for flip in sides[: rng.choice((1, 1, 2))]:
        x = rng.uniform(6, 14)
        _palm(canvas, SIZE - x if flip else x, rng.uniform(91, 97), rng.uniform(0.85, 1.05), flip, mood)
    if rng.random() < 0.55:
        _parasol(canvas, rng.uniform(106, 116) if sides[0] is False else rng.uniform(12, 22), 100, mood, rng)
    _starfish(canvas, one_side(rng, 30, 8), rng.uniform(114, 122), mood.shade((236, 112, 92)))


def _sailboat(canvas: Canvas, x: float, y: float, mood: Mood, rng: random.Random) -> None:
    with canvas.at(x, y, rng.uniform(0.7, 1)):
        canvas.polygon([(-7, -2), (7, -2), (4.5, 2), (-4.5, 2)], mood.shade((196, 84, 70)))
        canvas.polygon([(0.4, -15), (6.5, -3), (0.4, -3)], mood.shade(WHITE))
        canvas.polygon([(-0.6, -13), (-5.5, -3), (-0.6, -3)], mood.shade((238, 226, 206)))


def _palm(canvas: Canvas, x: float, y: float, size: float, flip: bool, mood: Mood) -> None:
    bark, leaf = mood.shade((166, 116, 76)), mood.shade((58, 152, 84))
    with canvas.at(x, y, size, flip=flip):
        trunk = smooth([(-2.6, 0), (-1.6, -20), (3, -38), (8, -52)], closed=False)
        back = smooth([(11, -51), (6.5, -37), (2.4, -20), (2.8, 0)], closed=False)
        canvas.polygon(np.concatenate([trunk, back]), bark)
        for k in range(1, 6):
            canvas.line([trunk[k * 4] + (0.6, 0), back[-k * 4] - (0.6, 0)], darker(bark, 0.22), 0.9, outline=False)
        tips = ((-20, -46), (-15, -62), (2, -70), (24, -66), (33, -50), (-11, -36), (24, -38))
        for k, (tip_x, tip_y) in enumerate(tips):
            rise = (9.5 + tip_x) / 2, (-52 + tip_y) / 2
            canvas.blob(
                [(9.5, -52), (rise[0], rise[1] - 6), (tip_x, tip_y), (rise[0] + 1, rise[1] - 1)],
                lighter(leaf, 0.12) if k % 2 else leaf,
            )
        for dx in (-2, 2):
            dot(canvas, 9.5 + dx, -50.4, 2.3, darker(bark, 0.35))


def _parasol(canvas: Canvas, x: float, y: float, mood: Mood, rng: random.Random) -> None:
    cloth = mood.shade(rng.choice(((228, 82, 78), (70, 144, 214), (244, 178, 64))))
    with canvas.at(x, y, 0.85, angle=rng.uniform(-10, 10)):
        canvas.line([(0, 0), (0, -32)], mood.shade((238, 232, 220)), 1.6)
        dome = smooth([(-19, -25), (-13, -35), (0, -40), (13, -35), (19, -25)], closed=False)
        canvas.polygon(dome, cloth)
        for x0, x1 in ((-12, -4.5), (4.5, 12)):
            patch(canvas, [(0, -40), (x1, -25), (x0, -25)], mood.shade((250, 244, 232)))


def _starfish(canvas: Canvas, x: float, y: float, fill: RGB) -> None:
    outer, inner = ellipse_points(x, y, 4.2, 3.4, n=10)[::2], ellipse_points(x, y, 1.8, 1.5, n=10)[1::2]
    canvas.polygon(np.stack([outer, inner], axis=1).reshape(-1, 2), fill)
