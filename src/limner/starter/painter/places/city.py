"""The city: a street before a row of houses."""

from __future__ import annotations

import random

import numpy as np

from limner.starter.painter.canvas import SIZE, Canvas, darker
from limner.starter.painter.places.borders import both_sides, one_side
from limner.starter.painter.places.mood import Mood
from limner.starter.painter.places.palette import BARK, LEAF
from limner.starter.painter.places.sky import draw_sky
from limner.starter.painter.places.street_lamp import draw_street_lamp
from limner.starter.painter.places.touches import patch
from limner.starter.painter.places.trees import draw_tree
from limner.starter.painter.vocabulary import RGB


def draw_city(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    draw_sky(canvas, mood, light, rng, 84, clouds=2, sun_x=44, lift=40)
    x = -4.0
    while x < SIZE:
        w = rng.uniform(9, 17)
        canvas.rectangle(x, rng.uniform(34, 58), x + w, 90, mood.shade((138, 158, 190), 0.5), outline=False)
        x += w
    walls = [(206, 126, 104), (232, 194, 142), (116, 142, 178), (172, 158, 186), (124, 172, 168)]
    rng.shuffle(walls)
    spans = ((14, 18), (34, 40), (58, 70), (90, 96), (110, 116), (134, 134))
    rises = ((14, 30), (38, 46), (54, 60), (50, 60), (38, 46), (12, 28))
    left = -6.0
    for k, (span, rise) in enumerate(zip(spans, rises, strict=True)):
        right, top = rng.uniform(*span), rng.uniform(*rise)
        _building(canvas, left, right, top, mood.shade(walls[k % 5], 0.08), mood, rng)
        left = right
    pavement, road = mood.shade((196, 198, 206)), mood.shade((112, 116, 130))
    canvas.rectangle(-2, 86, SIZE + 2, 132, pavement)
    canvas.rectangle(-2, 92, SIZE + 2, 93.4, darker(pavement, 0.22), outline=False)
    canvas.rectangle(-2, 93.4, SIZE + 2, 132, road)
    shift = rng.uniform(0, 26)
    for k in range(-1, 5):
        x = k * 30 + shift
        patch(canvas, [(x, 120), (x + 16, 120), (x + 15, 123), (x - 2, 123)], mood.shade((244, 236, 206)))
    draw_street_lamp(canvas, one_side(rng, 26, 12), 92, mood)
    for x in both_sides(rng, rng.randint(1, 2), 34, 24):
        draw_tree(canvas, x, 91, 0.5, mood.shade(LEAF), mood.shade(BARK))


def _building(canvas: Canvas, x0: float, x1: float, top: float, wall: RGB, mood: Mood, rng: random.Random) -> None:
    canvas.rectangle(x0, top, x1, 90, wall)
    canvas.rectangle(x1 - 2.5, top, x1, 90, darker(wall, 0.16), outline=False)
    canvas.rectangle(x0 - 0.8, top - 1.6, x1 + 0.8, top + 0.6, darker(wall, 0.22), outline=False)
    columns = max(2, round((x1 - x0) / 8))
    gap = (x1 - x0 - 3) / columns
    for row in np.arange(top + 5, 80, 10.5):
        for k in range(columns):
            x = x0 + 0.6 + gap * (k + 0.5)
            patch(
                canvas,
                [(x - 1.6, row), (x + 1.6, row), (x + 1.6, row + 4.6), (x - 1.6, row + 4.6)],
                mood.window(rng, wall),
            )
