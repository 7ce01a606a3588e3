"""Rolling ground, and tufts of grass on it."""

from __future__ import annotations

import random

import numpy as np

from limner.starter.painter.canvas import SIZE, Canvas, smooth
from limner.starter.painter.places.touches import patch
from limner.starter.painter.vocabulary import RGB


def draw_ridge(
    canvas: Canvas, rng: random.Random, y: float, height: float, bumps: int, fill: RGB, outline: bool = True
) -> np.ndarray:
    """Rolling ground from y - height to y + height along the top, filled down to the border."""
    xs = np.linspace(-12, SIZE + 12, bumps)
    ys = [y + rng.uniform(-height, height) for _ in xs]
    top = smooth(np.stack([xs, ys], axis=1), closed=False, steps=6)
    return canvas.polygon([*top.tolist(), (SIZE + 12, SIZE + 4), (-12, SIZE + 4)], fill, outline=outline)


def draw_tufts(canvas: Canvas, rng: random.Random, fill: RGB, count: int, top: float = 94) -> None:
    for _ in range(count):
        x, y = rng.uniform(2, 126), rng.uniform(top, 126)
        patch(
            canvas,
            [
                (x - 2.4, y - 3),
                (x - 0.8, y - 1.4),
                (x, y - 4.4),
                (x + 0.9, y - 1.4),
                (x + 2.4, y - 3),
                (x + 1.2, y),
                (x - 1.2, y),
            ],
            fill,
        )
