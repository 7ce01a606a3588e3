"""The park: a path through grass between trees."""

from __future__ import annotations

import random

import numpy as np

from limner.starter.painter.canvas import Canvas, darker, mix, smooth
from limner.starter.painter.places.borders import both_sides, one_side
from limner.starter.painter.places.ground import draw_ridge, draw_tufts
from limner.starter.painter.places.mood import Mood
from limner.starter.painter.places.palette import BARK, LEAF, WHITE
from limner.starter.painter.places.sky import draw_sky
from limner.starter.painter.places.street_lamp import draw_street_lamp
from limner.starter.painter.places.touches import dot
from limner.starter.painter.places.trees import draw_tree


def draw_park(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    draw_sky(canvas, mood, light, rng, 78)
    grass, bark = mood.shade((122, 196, 92)), mood.shade(BARK)
    draw_ridge(canvas, rng, 68, 6, 6, mood.shade((110, 184, 130), 0.45))
    for x in np.arange(-4, 136, 15):
        leaf = mood.shade(mix(LEAF, (70, 150, 120), rng.random()), 0.28)
        canvas.ellipse(x + rng.uniform(-4, 4), 75, rng.uniform(6, 9), rng.uniform(7, 10), leaf, outline=False)
    draw_ridge(canvas, rng, 80, 1.5, 5, grass)
    bend = rng.uniform(-18, 18)
    path = [(62 + bend, 80), (68 + bend, 80), (78, 96), (108, 132), (18, 132), (52, 96)]
    canvas.polygon(smooth(path, steps=4), mood.shade((232, 212, 168)), outline=False)
    for x in both_sides(rng, rng.randint(2, 3), 20, 4):
        leaf = mood.shade(mix(LEAF, (142, 186, 76), rng.random()))
        canvas.ellipse(x, 91.5, 14, 2.6, darker(grass, 0.16), outline=False)
        draw_tree(canvas, x, 92, rng.uniform(1, 1.35), leaf, bark)
    if rng.random() < 0.5:
        _bench(canvas, one_side(rng, 26, 20), 98, mood)
    else:
        draw_street_lamp(canvas, one_side(rng, 32, 26), 96, mood)
    draw_tufts(canvas, rng, darker(grass, 0.18), 7)
    for _ in range(8):
        x, y = one_side(rng, 40, 2), rng.uniform(96, 126)
        dot(canvas, x, y, 1.5, mood.shade(rng.choice((WHITE, (250, 206, 80), (240, 132, 160)))))
        dot(canvas, x, y, 0.6, mood.shade((240, 170, 50)))


def _bench(canvas: Canvas, x: float, y: float, mood: Mood) -> None:
    wood, iron = mood.shade((176, 112, 68)), mood.shade((70, 74, 88))
    with canvas.at(x, y):
        for leg in (-10, 10):
            canvas.line([(leg, -14), (leg, 0)], iron, 1.6)
        for top, bottom in ((-16, -13.6), (-12.6, -10.2), (-7.4, -4.6)):
            canvas.rectangle(-13, top, 13, bottom, wood, radius=0.8)
