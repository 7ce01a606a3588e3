"""The sky with sun, moon, stars and clouds, and the weather in front of everything."""

from __future__ import annotations

import math
import random

import numpy as np

from limner.starter.painter.canvas import RGB, SIZE, Canvas, Gradient, ellipse_points, mix
from limner.starter.painter.places.lighting import LIGHTINGS, WHITE, Lighting
from limner.starter.painter.places.scenery import one_side, patch


def draw_sky(
    canvas: Canvas,
    lighting: Lighting,
    light: str,
    rng: random.Random,
    horizon: float,
    *,
    clouds: int = 3,
    sun_x: float = 24,
    lift: float = 0,
) -> None:
    """Draw the sky down to y = horizon, with a sun, or a moon and stars, and clouds.

    sun_x: distance of the sun or moon from a border. lift: how far a low sun must be above the horizon, to be higher
    than the scenery.
    """
    canvas.rectangle(0, 0, SIZE, horizon + 6, Gradient(lighting.top, lighting.bottom), outline=False)
    x = one_side(rng, sun_x + 7, sun_x - 7)
    if light == "night":
        for _ in range(rng.randint(16, 24)):
            r = rng.choice((0.4, 0.5, 0.8))
            sx, sy = rng.uniform(0, SIZE), rng.uniform(0, horizon * 0.8)
            patch(canvas, [(sx - r, sy), (sx, sy - r), (sx + r, sy), (sx, sy + r)], (250, 246, 220))
        draw_moon(canvas, x, rng.uniform(16, 26), rng.uniform(7, 8.5))
    else:
        low = light == "sunset"
        y, r = (horizon - lift - rng.uniform(10, 20), 11.0) if low else (rng.uniform(16, 26), 9.0)
        glow, disc = ((255, 200, 120), (255, 240, 180)) if low else ((255, 248, 206), (255, 220, 92))
        canvas.polygon(ellipse_points(x, y, r * 1.6, r * 1.6, n=24), glow, alpha=0.4, outline=False)
        canvas.ellipse(x, y, r, r, disc)
    for _ in range(rng.randint(max(0, clouds - 1), clouds)):
        away = rng.uniform(32, 112)
        _cloud(canvas, x + away if x < SIZE / 2 else x - away, rng.uniform(8, 34), rng.uniform(0.6, 1.1), lighting)


def draw_moon(canvas: Canvas, x: float, y: float, r: float) -> None:
    """Draw a crescent."""
    t = np.linspace(math.radians(60), math.radians(300), 20)
    outer = np.stack([x + r * np.cos(t), y + r * np.sin(t)], axis=1)
    (x0, y0), (x1, y1) = outer[-1], outer[0]
    u = np.linspace(0, 1, 14)[1:-1]
    bend = np.sin(np.pi * u) * r * 0.95
    inner = np.stack([x0 + (x1 - x0) * u - bend, y0 + (y1 - y0) * u], axis=1)
    canvas.polygon(np.concatenate([outer, inner]), (252, 242, 200))


def _cloud(canvas: Canvas, x: float, y: float, size: float, lighting: Lighting) -> None:
    with canvas.at(x, y, size):
        puffs = [(-15, 3), (-13, -2), (-7, -2.5), (-4, -7.5), (3, -8), (7, -4), (12, -4), (16, 0), (15, 3)]
        canvas.blob(puffs, mix(lighting.cloud, lighting.bottom, 0.15), outline=False)


def draw_weather(canvas: Canvas, weather: str, light: str, rng: random.Random) -> None:
    """Draw rain or snowfall in front of everything; nothing for "clear"."""
    lighting = LIGHTINGS[light]
    if weather == "rain":
        _overcast(canvas, mix(lighting.shade((132, 146, 168)), lighting.top, 0.15), rng)
        _draw_rain(canvas, mix((226, 238, 250), lighting.bottom, 0.25), rng)
    elif weather == "snowfall":
        _overcast(canvas, mix(lighting.shade((178, 190, 208)), lighting.top, 0.15), rng)
        _draw_flakes(canvas, mix(WHITE, lighting.bottom, 0.06), rng)


def _overcast(canvas: Canvas, fill: RGB, rng: random.Random) -> None:
    """Draw clouds along the top border, above the subject."""
    for x in range(0, 145, 24):
        patch(canvas, ellipse_points(x + rng.uniform(-5, 5), 0, 19, rng.uniform(7, 11), n=20), fill)


def _scattered(rng: random.Random, count: int) -> list[tuple[float, float]]:
    """Points spread evenly over the image, each moved by a few units at random."""
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
