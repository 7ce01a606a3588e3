"""The snow: white hills with firs, a cabin or a snowman."""

from __future__ import annotations

import random

from limner.starter.painter.canvas import Canvas, darker, mix
from limner.starter.painter.places.borders import both_sides, one_side
from limner.starter.painter.places.ground import draw_ridge
from limner.starter.painter.places.mood import Mood
from limner.starter.painter.places.palette import BARK, LAMPLIGHT, WHITE
from limner.starter.painter.places.sky import draw_sky
from limner.starter.painter.places.touches import dot, patch
from limner.starter.painter.places.trees import draw_fir
from limner.starter.painter.vocabulary import RGB


def draw_snow(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    pale = Mood(
        mix(mood.top, WHITE, 0.18), mix(mood.bottom, WHITE, 0.2), mood.tint, mood.strength * 0.72, mood.cloud, mood.dark
    )
    draw_sky(canvas, pale, light, rng, 74, lift=12)
    snow = pale.shade((246, 250, 255))
    leaf, bark = pale.shade((66, 128, 122)), pale.shade(BARK)
    draw_ridge(canvas, rng, 60, 7, 5, mix(snow, pale.top, 0.36))
    for x in rng.sample(range(0, 128, 8), 8):
        patch(canvas, [(x, 58), (x + 4.5, 76), (x - 4.5, 76)], mix(leaf, pale.bottom, 0.5))
    draw_ridge(canvas, rng, 71, 4, 5, mix(snow, pale.top, 0.2))
    cabin = rng.random() < 0.45
    if cabin:
        _cabin(canvas, one_side(rng, 30, 20), 84, pale, snow)
    for x in both_sides(rng, rng.randint(2, 3), 32, 4):
        draw_fir(canvas, x, 85, rng.uniform(0.55, 0.75), mix(leaf, pale.bottom, 0.14), bark, snow)
    draw_ridge(canvas, rng, 84, 2.5, 5, snow)
    for x in both_sides(rng, 2, 14, 2):
        draw_fir(canvas, x, rng.uniform(94, 100), rng.uniform(1.1, 1.45), leaf, bark, snow)
    if not cabin:
        _snowman(canvas, one_side(rng, 30, 24), 96, pale)
    draw_ridge(canvas, rng, 104, 3, 5, mix(snow, WHITE, 0.4), outline=False)
    for _ in range(5):
        x, y = rng.uniform(0, 120), rng.uniform(108, 125)
        dot(canvas, x, y, rng.uniform(4, 9), mix(snow, pale.top, 0.14), 0.8)


def _cabin(canvas: Canvas, x: float, y: float, mood: Mood, snow: RGB) -> None:
    wall = mood.shade((158, 98, 66))
    with canvas.at(x, y):
        canvas.rectangle(6, -29, 10, -18, darker(wall, 0.2))
        canvas.rectangle(-13, -15, 13, 1, wall)
        canvas.polygon([(-17, -13), (0, -28), (17, -13)], snow)
        patch(canvas, [(-13, -13), (0, -24), (13, -13)], darker(wall, 0.15))
        canvas.rectangle(-9, -11, -3, -5, LAMPLIGHT)
        canvas.rectangle(3, -11, 9, 1, darker(wall, 0.35))


def _snowman(canvas: Canvas, x: float, y: float, mood: Mood) -> None:
    body = mood.shade(WHITE)
    rim = darker(body, 0.16)
    with canvas.at(x, y, 0.8):
        for cy, r in ((-8, 9), (-21, 6.8), (-31, 5)):
            canvas.ellipse(0, cy, r, r, body, stroke=rim, width=0.8)
        for dx, dy in ((-1.8, -32.5), (1.8, -32.5), (0, -23), (0, -19)):
            dot(canvas, dx, dy, 0.8, (50, 52, 66))
        canvas.polygon([(0, -31.5), (6, -30), (0, -29.6)], mood.shade((240, 138, 50)))
        canvas.rectangle(-5, -27.6, 5, -25, mood.shade((206, 64, 68)), radius=1)
