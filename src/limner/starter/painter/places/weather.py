"""What falls in front of everything."""

from __future__ import annotations

import math
import random

from limner.starter.painter.canvas import SIZE, Canvas, ellipse_points, mix
from limner.starter.painter.places.mood import MOODS
from limner.starter.painter.places.palette import WHITE
from limner.starter.painter.places.touches import patch
from limner.starter.painter.vocabulary import RGB


def draw_weather(canvas: Canvas, weather: str, light: str, rng: random.Random) -> None:
    """Draw what falls in front of everything: rain or snowfall; nothing for "clear"."""
    mood = MOODS[light]
    if weather == "rain":
        _overcast(canvas, mix(mood.shade((132, 146, 168)), mood.top, 0.15), rng)
        _draw_rain(canvas, mix((226, 238, 250), mood.bottom, 0.25), rng)
    elif weather == "snowfall":
        _overcast(canvas, mix(mood.shade((178, 190, 208)), mood.top, 0.15), rng)
        _draw_flakes(canvas, mix(WHITE, mood.bottom, 0.06), rng)


def _overcast(canvas: Canvas, fill: RGB, rng: random.Random) -> None:
    """A bank of cloud along the top border, above the subject."""
    for x in range(0, 145, 24):
        patch(canvas, ellipse_points(x + rng.uniform(-5, 5), 0, 19, rng.uniform(7, 11), n=20), fill)


def _scattered(rng: random.Random, count: int) -> list[tuple[float, float]]:
    """Points spread evenly over the picture, each nudged by a few units."""
    golden = (math.sqrt(5) - 1) / 2
    return [
        (SIZE * (k * golden % 1) + rng.uniform(-6, 6), SIZE * (k + 0.5) / count + rng.uniform(-6, 6))
        for k in range(count)
    ]


def _draw_rain(canvas: Canvas, drop: RGB, rng: random.Random) -> None:
    for _ in range(5):
        x, y, r = rng.uniform(4, 124), rng.uniform(98, 125), rng.uniform(5, 11)
        canvas.polygon(ellipse_points(x, y, r, r * 0.2, n=16), drop, alpha=0.35, outline=False)
    slant = rng.uniform(1.5, 4)
    for k, (x, y) in enumerate(_scattered(rng, 54)):
        reach, width = rng.uniform(0.7, 1.5), 0.5 if k % 3 else 0.9
        canvas.line([(x, y), (x - slant * reach, y + 7 * reach)], drop, width, alpha=0.75, outline=False)


def _draw_flakes(canvas: Canvas, flake: RGB, rng: random.Random) -> None:
    for x, y in _scattered(rng, 72):
        r = rng.choice((0.7, 0.9, 1.2, 1.7))
        patch(canvas, ellipse_points(x, y, r, r, n=8), flake)
