"""The forest: a path between trunks."""

from __future__ import annotations

import random

import numpy as np

from limner.starter.painter.canvas import SIZE, Canvas, darker, lighter
from limner.starter.painter.places.borders import both_sides
from limner.starter.painter.places.ground import draw_ridge, draw_tufts
from limner.starter.painter.places.mood import Mood
from limner.starter.painter.places.palette import BARK, PINE
from limner.starter.painter.places.sky import draw_sky
from limner.starter.painter.places.touches import dot
from limner.starter.painter.places.trees import draw_fir, draw_spire


def draw_forest(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    draw_sky(canvas, mood, light, rng, 70, clouds=1, sun_x=48, lift=28)
    ground = mood.shade((112, 148, 78))
    for base, size, haze, step in ((76, 1.25, 0.62, 13), (82, 1.2, 0.38, 17)):
        leaf = mood.shade((56, 124, 92), haze)
        for x in np.arange(-4, 136, step):
            draw_spire(canvas, x + rng.uniform(-4, 4), base, size * rng.uniform(0.8, 1.2), leaf)
        canvas.rectangle(-2, base - 6, SIZE + 2, base + 12, leaf, outline=False)
    draw_ridge(canvas, rng, 83, 2, 6, ground)
    canvas.blob(
        [(58, 82), (70, 82), (80, 96), (110, 134), (16, 134), (50, 96)], mood.shade((186, 160, 108)), outline=False
    )
    bark = mood.shade(BARK)
    for x in both_sides(rng, 3, 34, 22):
        draw_fir(canvas, x, rng.uniform(88, 91), rng.uniform(1.05, 1.4), mood.shade(PINE, 0.1), bark)
    for x in both_sides(rng, 2, 8, -2):
        w = rng.uniform(6, 8)
        trunk = [(-w - 5, 106), (-w, 92), (-w * 0.8, -4), (w * 0.8, -4), (w, 92), (w + 5, 106)]
        canvas.polygon(np.array(trunk) + (x, 0), darker(bark, 0.12))
        for dx in (-0.5, 0.1, 0.5):
            y = rng.uniform(10, 60)
            canvas.line([(x + dx * w, y), (x + dx * w, y + 22)], darker(bark, 0.34), 1, outline=False)
    canopy = mood.shade((46, 110, 72))
    for side in (0, SIZE):
        reach = rng.uniform(28, 38) * (1 if side == 0 else -1)
        crown = [
            (side - reach, -12),
            (side + reach, -8),
            (side + reach * 0.9, 7),
            (side + reach * 0.55, 12),
            (side + reach * 0.35, 20),
            (side, 22),
            (side - reach * 0.6, 16),
        ]
        canvas.blob(crown, canopy)
    draw_tufts(canvas, rng, darker(ground, 0.24), 8, 92)
    for x in both_sides(rng, rng.randint(2, 4), 32, 8):
        _mushroom(canvas, x, rng.uniform(100, 122), mood)


def _mushroom(canvas: Canvas, x: float, y: float, mood: Mood) -> None:
    cap = mood.shade((214, 68, 60))
    canvas.rectangle(x - 1.1, y - 4, x + 1.1, y, mood.shade((246, 236, 216)), radius=0.8)
    canvas.polygon([(x - 4, y - 3.4), (x - 2.8, y - 6.2), (x, y - 7.4), (x + 2.8, y - 6.2), (x + 4, y - 3.4)], cap)
    for dx, dy in ((-1.6, -4.8), (1.2, -5.8)):
        dot(canvas, x + dx, y + dy, 0.7, lighter(cap, 0.8))
