"""The sky with sun, moon, stars and clouds."""

from __future__ import annotations

import math
import random

import numpy as np

from limner.starter.painter.canvas import SIZE, Canvas, Gradient, ellipse_points, mix
from limner.starter.painter.places.borders import one_side
from limner.starter.painter.places.mood import Mood
from limner.starter.painter.places.touches import patch


def draw_sky(
    canvas: Canvas,
    mood: Mood,
    light: str,
    rng: random.Random,
    horizon: float,
    *,
    clouds: int = 3,
    sun_x: float = 24,
    lift: float = 0,
) -> None:
    """Sky down to y = horizon with a sun, or a moon and stars, and clouds beside it.

    sun_x: how far the sun or moon keeps from a border; lift: how far above the horizon scenery needs a low sun.
    """
    canvas.rectangle(0, 0, SIZE, horizon + 6, Gradient(mood.top, mood.bottom), outline=False)
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
        _cloud(canvas, x + away if x < SIZE / 2 else x - away, rng.uniform(8, 34), rng.uniform(0.6, 1.1), mood)


def draw_moon(canvas: Canvas, x: float, y: float, r: float) -> None:
    """A crescent."""
    t = np.linspace(math.radians(60), math.radians(300), 20)
    outer = np.stack([x + r * np.cos(t), y + r * np.sin(t)], axis=1)
    (x0, y0), (x1, y1) = outer[-1], outer[0]
    u = np.linspace(0, 1, 14)[1:-1]
    bend = np.sin(np.pi * u) * r * 0.95
    inner = np.stack([x0 + (x1 - x0) * u - bend, y0 + (y1 - y0) * u], axis=1)
    canvas.polygon(np.concatenate([outer, inner]), (252, 242, 200))


def _cloud(canvas: Canvas, x: float, y: float, size: float, mood: Mood) -> None:
    with canvas.at(x, y, size):
        puffs = [(-15, 3), (-13, -2), (-7, -2.5), (-4, -7.5), (3, -8), (7, -4), (12, -4), (16, 0), (15, 3)]
        canvas.blob(puffs, mix(mood.cloud, mood.bottom, 0.15), outline=False)
