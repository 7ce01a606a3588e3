"""The desert: dunes, mesas and cacti."""

from __future__ import annotations

import random

from limner.starter.painter.canvas import SIZE, Canvas, darker, lighter, mix, smooth
from limner.starter.painter.places.borders import both_sides
from limner.starter.painter.places.ground import draw_ridge
from limner.starter.painter.places.mood import Mood
from limner.starter.painter.places.sky import draw_sky
from limner.starter.painter.places.touches import dot, patch
from limner.starter.painter.vocabulary import RGB


def draw_desert(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    hot = Mood(
        mood.top,
        mix(mood.bottom, (255, 226, 176), 0.1 if mood.dark else 0.5),
        mood.tint,
        mood.strength,
        mood.cloud,
        mood.dark,
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
    """A dune over the whole width with a crest at one side, dark on the lee."""
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


def _cactus(canvas: Canvas, x: float, y: float, size: float, mood: Mood) -> None:
    green = mood.shade((70, 146, 92))
    with canvas.at(x, y, size, flip=x > SIZE / 2):
        canvas.ellipse(0, 0, 10, 1.8, mood.shade((200, 142, 82)), outline=False)
        for arm in ([(0, -14), (10, -14), (11, -27)], [(0, -19), (-9, -19), (-10, -31)]):
            canvas.line(arm, green, 5)
        canvas.rectangle(-4, -42, 4, 0, green, radius=4)
        for dx in (-1.3, 1.4):
            canvas.line([(dx, -38), (dx, -3)], darker(green, 0.18), 0.8, outline=False)
        dot(canvas, 0, -42, 2.2, mood.shade((240, 120, 150)))
