"""The mountains (peaks behind a meadow) and the snow (white hills with firs, and a cabin or a snowman)."""

from __future__ import annotations

import random

from limner.starter.painter.canvas import RGB, SIZE, Canvas, darker, lighter, mix
from limner.starter.painter.places.lighting import BARK, LAMPLIGHT, PINE, WHITE, Lighting
from limner.starter.painter.places.scenery import (
    both_sides,
    dot,
    draw_fir,
    draw_ridge,
    draw_spire,
    draw_tufts,
    one_side,
    patch,
)
from limner.starter.painter.places.sky import draw_sky


def draw_mountains(canvas: Canvas, lighting: Lighting, light: str, rng: random.Random) -> None:
    draw_sky(canvas, lighting, light, rng, 76, clouds=2, lift=30)
    for count, base, low, high, haze in ((4, 74, 26, 36, 0.5), (3, 80, 40, 54, 0.14)):
        rock = lighting.shade((112, 126, 158), haze)
        spots = [SIZE * (k + 0.5) / count + rng.uniform(-10, 10) for k in range(count)]
        for x in rng.sample(spots, count):
            _peak(canvas, x, base, rng.uniform(low, high), rock, lighting.shade((250, 252, 255), haze * 0.6), rng)
    draw_ridge(canvas, rng, 75, 2, 6, lighting.shade((92, 150, 120), 0.2))
    for x in range(0, 131, 13):
        draw_spire(canvas, x + rng.uniform(-4, 4), 84, rng.uniform(0.28, 0.45), lighting.shade(PINE, 0.15))
    meadow = lighting.shade((134, 188, 98))
    draw_ridge(canvas, rng, 82, 1.5, 5, meadow)
    if rng.random() < 0.5:
        canvas.ellipse(one_side(rng, 30, 10), 91, 24, 3.6, lighting.shade((96, 174, 214)))
    draw_ridge(canvas, rng, 100, 3, 4, lighter(meadow, 0.14), outline=False)
    for x in both_sides(rng, rng.randint(2, 3), 16, 2):
        draw_fir(canvas, x, rng.uniform(92, 102), rng.uniform(0.8, 1.2), lighting.shade(PINE), lighting.shade(BARK))
    draw_tufts(canvas, rng, darker(meadow, 0.18), 6, 100)
    for _ in range(7):
        dot(canvas, rng.uniform(2, 126), rng.uniform(98, 126), 1, lighting.shade(rng.choice((WHITE, (250, 214, 90)))))


def _peak(canvas: Canvas, x: float, y: float, height: float, rock: RGB, snow: RGB, rng: random.Random) -> None:
    """Draw a snow-capped peak, lit from the left."""
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


def draw_snow(canvas: Canvas, lighting: Lighting, light: str, rng: random.Random) -> None:
    pale = Lighting(
        mix(lighting.top, WHITE, 0.18),
        mix(lighting.bottom, WHITE, 0.2),
        lighting.tint,
        lighting.strength * 0.72,
        lighting.cloud,
        lighting.dark,
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


def _cabin(canvas: Canvas, x: float, y: float, lighting: Lighting, snow: RGB) -> None:
    wall = lighting.shade((158, 98, 66))
    with canvas.at(x, y):
        canvas.rectangle(6, -29, 10, -18, darker(wall, 0.2))
        canvas.rectangle(-13, -15, 13, 1, wall)
        canvas.polygon([(-17, -13), (0, -28), (17, -13)], snow)
        patch(canvas, [(-13, -13), (0, -24), (13, -13)], darker(wall, 0.15))
        canvas.rectangle(-9, -11, -3, -5, LAMPLIGHT)
        canvas.rectangle(3, -11, 9, 1, darker(wall, 0.35))


def _snowman(canvas: Canvas, x: float, y: float, lighting: Lighting) -> None:
    body = lighting.shade(WHITE)
    rim = darker(body, 0.16)
    with canvas.at(x, y, 0.8):
        for cy, r in ((-8, 9), (-21, 6.8), (-31, 5)):
            canvas.ellipse(0, cy, r, r, body, stroke=rim, width=0.8)
        for dx, dy in ((-1.8, -32.5), (1.8, -32.5), (0, -23), (0, -19)):
            dot(canvas, dx, dy, 0.8, (50, 52, 66))
        canvas.polygon([(0, -31.5), (6, -30), (0, -29.6)], lighting.shade((240, 138, 50)))
        canvas.rectangle(-5, -27.6, 5, -25, lighting.shade((206, 64, 68)), radius=1)
