"""The beach (sea, sand, palms) and the desert (dunes, mesas, cacti)."""

from __future__ import annotations

import random

import numpy as np

from limner.starter.painter.canvas import RGB, SIZE, Canvas, darker, ellipse_points, lighter, mix, smooth
from limner.starter.painter.places.lighting import WHITE, Lighting
from limner.starter.painter.places.scenery import both_sides, dot, draw_ridge, one_side, patch
from limner.starter.painter.places.sky import draw_sky


def draw_beach(canvas: Canvas, lighting: Lighting, light: str, rng: random.Random) -> None:
    horizon = rng.uniform(54, 62)
    draw_sky(canvas, lighting, light, rng, horizon)
    sea, sand = lighting.shade((44, 152, 206)), lighting.shade((244, 216, 158))
    canvas.rectangle(-2, horizon, SIZE + 2, 100, sea)
    canvas.rectangle(-2, horizon, SIZE + 2, horizon + 6, mix(sea, lighting.bottom, 0.25), outline=False)
    canvas.rectangle(-2, horizon + 16, SIZE + 2, 100, mix(sea, (84, 214, 210), 0.4), outline=False)
    for _ in range(9):
        x, y, w = rng.uniform(0, 120), rng.uniform(horizon + 3, 80), rng.uniform(5, 12)
        canvas.rectangle(x, y, x + w, y + 0.8, lighter(sea, 0.35), outline=False)
    if rng.random() < 0.6:
        _sailboat(canvas, one_side(rng, 40, 16), horizon + 3, lighting, rng)
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
        _palm(canvas, SIZE - x if flip else x, rng.uniform(91, 97), rng.uniform(0.85, 1.05), flip, lighting)
    if rng.random() < 0.55:
        _parasol(canvas, rng.uniform(106, 116) if sides[0] is False else rng.uniform(12, 22), 100, lighting, rng)
    _starfish(canvas, one_side(rng, 30, 8), rng.uniform(114, 122), lighting.shade((236, 112, 92)))


def _sailboat(canvas: Canvas, x: float, y: float, lighting: Lighting, rng: random.Random) -> None:
    with canvas.at(x, y, rng.uniform(0.7, 1)):
        canvas.polygon([(-7, -2), (7, -2), (4.5, 2), (-4.5, 2)], lighting.shade((196, 84, 70)))
        canvas.polygon([(0.4, -15), (6.5, -3), (0.4, -3)], lighting.shade(WHITE))
        canvas.polygon([(-0.6, -13), (-5.5, -3), (-0.6, -3)], lighting.shade((238, 226, 206)))


def _palm(canvas: Canvas, x: float, y: float, size: float, flip: bool, lighting: Lighting) -> None:
    bark, leaf = lighting.shade((166, 116, 76)), lighting.shade((58, 152, 84))
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


def _parasol(canvas: Canvas, x: float, y: float, lighting: Lighting, rng: random.Random) -> None:
    cloth = lighting.shade(rng.choice(((228, 82, 78), (70, 144, 214), (244, 178, 64))))
    with canvas.at(x, y, 0.85, angle=rng.uniform(-10, 10)):
        canvas.line([(0, 0), (0, -32)], lighting.shade((238, 232, 220)), 1.6)
        dome = smooth([(-19, -25), (-13, -35), (0, -40), (13, -35), (19, -25)], closed=False)
        canvas.polygon(dome, cloth)
        for x0, x1 in ((-12, -4.5), (4.5, 12)):
            patch(canvas, [(0, -40), (x1, -25), (x0, -25)], lighting.shade((250, 244, 232)))


def _starfish(canvas: Canvas, x: float, y: float, fill: RGB) -> None:
    outer, inner = ellipse_points(x, y, 4.2, 3.4, n=10)[::2], ellipse_points(x, y, 1.8, 1.5, n=10)[1::2]
    canvas.polygon(np.stack([outer, inner], axis=1).reshape(-1, 2), fill)


def draw_desert(canvas: Canvas, lighting: Lighting, light: str, rng: random.Random) -> None:
    hot = Lighting(
        lighting.top,
        mix(lighting.bottom, (255, 226, 176), 0.1 if lighting.dark else 0.5),
        lighting.tint,
        lighting.strength,
        lighting.cloud,
        lighting.dark,
    )
    draw_sky(canvas, hot, light, rng, 76, clouds=1)
    sand, rock = hot.shade((238, 182, 106)), hot.shade((206, 116, 78), 0.3)
    for x in both_sides(rng, rng.randint(2, 3), 34, 4):
        _mesa(canvas, x, 78, rng.uniform(0.7, 1.1), rock)
    draw_ridge(canvas, rng, 72, 4, 4, mix(sand, hot.bottom, 0.38))
    _dune(canvas, rng, 74, mix(sand, hot.bottom, 0.14))
    _dune(canvas, rng, 84, sand)
    draw_ridge(canvas, rng, 100, 3, 4, lighter(sand, 0.14), outline=False)
    for _ in range(6):
        x, y = rng.uniform(-8, 110), rng.uniform(104, 125)
        canvas.line(
            [(x, y), (x + 8, y - 1.2), (x + 16, y), (x + 24, y - 0.8)],
            darker(sand, 0.1),
            0.7,
            curve=True,
            outline=False,
        )
    for x in both_sides(rng, rng.randint(2, 3), 26, 10):
        _cactus(canvas, x, rng.uniform(90, 102), rng.uniform(0.7, 1.1), hot)
    for x in both_sides(rng, 2, 40, 6):
        canvas.ellipse(x, rng.uniform(112, 122), 3.4, 2, hot.shade((170, 116, 84)), outline=False)


def _dune(canvas: Canvas, rng: random.Random, y: float, sand: RGB) -> None:
    """Draw a dune over the whole width with a crest at one side, darker behind it."""
    crest, flip = rng.uniform(20, 46), rng.random() < 0.5
    with canvas.at(SIZE if flip else 0, y, flip=flip):
        lit = smooth([(-14, 2), (crest * 0.5, -5), (crest, -13)], closed=False)
        lee = smooth([(crest, -13), (crest + 22, -4), (SIZE + 14, 1)], closed=False)
        canvas.polygon([*lit.tolist(), *lee.tolist(), (SIZE + 14, 60), (-14, 60)], sand)
        patch(canvas, [*lee.tolist(), (crest + 34, 9), (crest + 14, 4), (crest + 8, -2)], darker(sand, 0.13))


def _mesa(canvas: Canvas, x: float, y: float, size: float, rock: RGB) -> None:
    with canvas.at(x, y, size):
        canvas.polygon([(-24, 0), (-17, -12), (-15, -28), (-9, -29), (12, -28), (15, -12), (23, 0)], rock)
        patch(canvas, [(4, -28.4), (12, -28), (15, -12), (23, 0), (8, 0)], darker(rock, 0.13))
        patch(canvas, [(-16, -20), (13, -20), (13.6, -17), (-16.4, -17)], lighter(rock, 0.18))


def _cactus(canvas: Canvas, x: float, y: float, size: float, lighting: Lighting) -> None:
    green = lighting.shade((70, 146, 92))
    with canvas.at(x, y, size, flip=x > SIZE / 2):
        canvas.ellipse(0, 0, 10, 1.8, lighting.shade((200, 142, 82)), outline=False)
        for arm in ([(0, -14), (10, -14), (11, -27)], [(0, -19), (-9, -19), (-10, -31)]):
            canvas.line(arm, green, 5)
        canvas.rectangle(-4, -42, 4, 0, green, radius=4)
        for dx in (-1.3, 1.4):
            canvas.line([(dx, -38), (dx, -3)], darker(green, 0.18), 0.8, outline=False)
        dot(canvas, 0, -42, 2.2, lighting.shade((240, 120, 150)))
