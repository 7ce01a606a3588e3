"""The mountains: peaks behind a meadow."""

from __future__ import annotations

import random

from limner.starter.painter.canvas import SIZE, Canvas, darker, lighter, mix
from limner.starter.painter.places.borders import both_sides, one_side
from limner.starter.painter.places.ground import draw_ridge, draw_tufts
from limner.starter.painter.places.mood import Mood
from limner.starter.painter.places.palette import BARK, PINE, WHITE
from limner.starter.painter.places.sky import draw_sky
from limner.starter.painter.places.touches import dot, patch
from limner.starter.painter.places.trees import draw_fir, draw_spire
from limner.starter.painter.vocabulary import RGB


def draw_mountains(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    draw_sky(canvas, mood, light, rng, 76, clouds=2, lift=30)
    for count, base, low, high, haze in ((4, 74, 26, 36, 0.5), (3, 80, 40, 54, 0.14)):
        rock = mood.shade((112, 126, 158), haze)
        spots = [SIZE * (k + 0.5) / count + rng.uniform(-10, 10) for k in range(count)]
        for x in rng.sample(spots, count):
            _peak(canvas, x, base, rng.uniform(low, high), rock, mood.shade((250, 252, 255), haze * 0.6), rng)
    draw_ridge(canvas, rng, 75, 2, 6, mood.shade((92, 150, 120), 0.2))
    for x in range(0, 131, 13):
        draw_spire(canvas, x + rng.uniform(-4, 4), 84, rng.uniform(0.28, 0.45), mood.shade(PINE, 0.15))
    meadow = mood.shade((134, 188, 98))
    draw_ridge(canvas, rng, 82, 1.5, 5, meadow)
    if rng.random() < 0.5:
        canvas.ellipse(one_side(rng, 30, 10), 91, 24, 3.6, mood.shade((96, 174, 214)))
    draw_ridge(canvas, rng, 100, 3, 4, lighter(meadow, 0.14), outline=False)
    for x in both_sides(rng, rng.randint(2, 3), 16, 2):
        draw_fir(canvas, x, rng.uniform(92, 102), rng.uniform(0.8, 1.2), mood.shade(PINE), mood.shade(BARK))
    draw_tufts(canvas, rng, darker(meadow, 0.18), 6, 100)
    for _ in range(7):
        dot(canvas, rng.uniform(2, 126), rng.uniform(98, 126), 1, mood.shade(rng.choice((WHITE, (250, 214, 90)))))


def _peak(canvas: Canvas, x: float, y: float, height: float, rock: RGB, snow: RGB, rng: random.Random) -> None:
    """A snow-capped peak, lit from the left."""
    half, lean = height * rng.uniform(0.75, 0.95), rng.uniform(-4, 4)
    top = (x + lean, y - height)
    left, right = (x - half, y + 4), (x + half, y + 4)
    canvas.polygon([left, top, right], rock)
    fold = (x + lean + height * 0.1, y - height * 0.5)
    patch(canvas, [top, right, (x + half * 0.1, y + 4), fold], darker(rock, 0.2))

    def along(foot: tuple[float, float], share: float) -> tuple[float, float]:
        return top[0] + (foot[0] - top[0]) * share, top[1] + (foot[1] - top[1]) * share

    middle = (x + lean + height * 0.05, y - height * 0.74)
    (lx, ly), (rx, ry) = along(left, 0.36), along(right, 0.36)
    notch = (lx * 0.5 + middle[0] * 0.5, ly - height * 0.1)
    canvas.polygon(
        [
            top,
            (lx, ly),
            notch,
            (middle[0] - 1, ly + height * 0.05),
            middle,
            (rx * 0.6 + middle[0] * 0.4, ry),
            (rx * 0.75 + middle[0] * 0.25, ry - height * 0.07),
            (rx, ry),
        ],
        snow,
    )
    patch(
        canvas,
        [top, middle, (rx * 0.6 + middle[0] * 0.4, ry), (rx * 0.75 + middle[0] * 0.25, ry - height * 0.07), (rx, ry)],
        mix(snow, rock, 0.35),
    )
