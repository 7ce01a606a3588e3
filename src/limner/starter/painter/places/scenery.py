"""Scenery that several places share: ground, grass, trees and street lamps, and positions beside the subject."""

from __future__ import annotations

import random

import numpy as np

from limner.starter.painter.canvas import RGB, SIZE, Canvas, Points, darker, ellipse_points, lighter, smooth
from limner.starter.painter.places.lighting import LAMPLIGHT, Lighting


def patch(canvas: Canvas, points: Points, fill: RGB) -> None:
    """Draw texture or shading, without a contour."""
    canvas.polygon(points, fill, outline=False)


def dot(canvas: Canvas, x: float, y: float, rx: float, fill: RGB, ry: float | None = None) -> None:
    """Draw an ellipse without a contour."""
    patch(canvas, ellipse_points(x, y, rx, ry or rx, n=12), fill)


def one_side(rng: random.Random, inner: float = 26, outer: float = 4) -> float:
    """An x near the left or the right border, beside the subject."""
    x = rng.uniform(outer, inner)
    return x if rng.random() < 0.5 else SIZE - x


def both_sides(rng: random.Random, count: int, inner: float = 30, outer: float = 0) -> list[float]:
    """`count` x positions that alternate between the left and the right border."""
    flip = rng.randrange(2)
    spots = [rng.uniform(outer, inner) for _ in range(count)]
    return [x if (k + flip) % 2 else SIZE - x for k, x in enumerate(spots)]


def draw_ridge(
    canvas: Canvas, rng: random.Random, y: float, height: float, bumps: int, fill: RGB, outline: bool = True
) -> np.ndarray:
    """Draw hilly ground, from y - height to y + height at the top and down to the border; return its points."""
    xs = np.linspace(-12, SIZE + 12, bumps)
    ys = [y + rng.uniform(-height, height) for _ in xs]
    top = smooth(np.stack([xs, ys], axis=1), closed=False, steps=6)
    return canvas.polygon([*top.tolist(), (SIZE + 12, SIZE + 4), (-12, SIZE + 4)], fill, outline=outline)


def draw_tufts(canvas: Canvas, rng: random.Random, fill: RGB, count: int, top: float = 94) -> None:
    """Draw tufts of grass below y = `top`."""
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


def draw_tree(canvas: Canvas, x: float, y: float, size: float, leaf: RGB, bark: RGB) -> None:
    """Draw a broad-leaved tree, about 40 * size high, with its foot at (x, y)."""
    with canvas.at(x, y, size):
        canvas.polygon([(-2.6, 0), (-1.6, -20), (1.6, -20), (2.6, 0)], bark)
        canvas.blob([(-13, -17), (-16, -25), (-10, -35), (0, -40), (10, -36), (15, -26), (12, -17), (0, -14)], leaf)
        canvas.blob(
            [(-11, -25), (-7, -34), (0, -37), (5, -34), (0, -28), (-6, -22)], lighter(leaf, 0.16), outline=False
        )


def draw_fir(canvas: Canvas, x: float, y: float, size: float, leaf: RGB, bark: RGB, snow: RGB | None = None) -> None:
    """Draw a fir of three tiers, about 40 * size high; snow: its colour on the tiers, None for none."""
    with canvas.at(x, y, size):
        canvas.rectangle(-2, -8, 2, 0, bark)
        canvas.polygon(
            [
                (0, -40),
                (7, -28),
                (4, -28),
                (10, -17),
                (6, -17),
                (13, -5),
                (-13, -5),
                (-6, -17),
                (-10, -17),
                (-4, -28),
                (-7, -28),
            ],
            leaf,
        )
        if snow is None:
            patch(canvas, [(0, -40), (7, -28), (4, -28), (10, -17), (6, -17), (13, -5), (4, -5)], darker(leaf, 0.16))
        else:
            for tip, reach in ((-40, 5), (-28, 6), (-17, 8)):
                low = tip + reach * 1.5
                patch(
                    canvas,
                    [
                        (0, tip),
                        (reach, low),
                        (reach * 0.4, low - 2),
                        (0, low + 1),
                        (-reach * 0.5, low - 2),
                        (-reach, low),
                    ],
                    snow,
                )


def draw_spire(canvas: Canvas, x: float, y: float, size: float, leaf: RGB) -> None:
    """Draw a distant conifer, about 40 * size high, in one colour."""
    half = 8 * size
    patch(
        canvas,
        [
            (x, y - 40 * size),
            (x + half * 0.6, y - 20 * size),
            (x + half * 0.3, y - 20 * size),
            (x + half, y),
            (x - half, y),
            (x - half * 0.3, y - 20 * size),
            (x - half * 0.6, y - 20 * size),
        ],
        leaf,
    )


def draw_street_lamp(canvas: Canvas, x: float, y: float, lighting: Lighting) -> None:
    """Draw a lamp post, 46 high, which is lit at night."""
    iron = lighting.shade((66, 72, 88))
    if lighting.dark:
        canvas.polygon(ellipse_points(x, y - 42, 11, 11, n=20), LAMPLIGHT, alpha=0.25, outline=False)
    canvas.rectangle(x - 0.9, y - 38, x + 0.9, y, iron)
    canvas.rectangle(x - 2.4, y - 2, x + 2.4, y, iron)
    canvas.polygon(
        [(x - 3, y - 46), (x + 3, y - 46), (x + 2, y - 38), (x - 2, y - 38)],
        (255, 236, 170) if lighting.dark else lighting.shade((240, 240, 226)),
    )
    patch(canvas, [(x - 3.8, y - 46), (x, y - 49.5), (x + 3.8, y - 46)], iron)
