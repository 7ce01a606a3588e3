"""The forest (a path between trunks) and the park (a path through grass between trees)."""

from __future__ import annotations

import random

import numpy as np

from limner.starter.painter.canvas import SIZE, Canvas, darker, lighter, mix, smooth
from limner.starter.painter.places.lighting import BARK, LEAF, PINE, WHITE, Lighting
from limner.starter.painter.places.scenery import (
    both_sides,
    dot,
    draw_fir,
    draw_ridge,
    draw_spire,
    draw_street_lamp,
    draw_tree,
    draw_tufts,
    one_side,
)
from limner.starter.painter.places.sky import draw_sky


def draw_forest(canvas: Canvas, lighting: Lighting, light: str, rng: random.Random) -> None:
    draw_sky(canvas, lighting, light, rng, 70, clouds=1, sun_x=48, lift=28)
    ground = lighting.shade((112, 148, 78))
    for base, size, haze, step in ((76, 1.25, 0.62, 13), (82, 1.2, 0.38, 17)):
        leaf = lighting.shade((56, 124, 92), haze)
        for x in np.arange(-4, 136, step):
            draw_spire(canvas, x + rng.uniform(-4, 4), base, size * rng.uniform(0.8, 1.2), leaf)
        canvas.rectangle(-2, base - 6, SIZE + 2, base + 12, leaf, outline=False)
    draw_ridge(canvas, rng, 83, 2, 6, ground)
    canvas.blob(
        [(58, 82), (70, 82), (80, 96), (110, 134), (16, 134), (50, 96)], lighting.shade((186, 160, 108)), outline=False
    )
    bark = lighting.shade(BARK)
    for x in both_sides(rng, 3, 34, 22):
        draw_fir(canvas, x, rng.uniform(88, 91), rng.uniform(1.05, 1.4), lighting.shade(PINE, 0.1), bark)
    for x in both_sides(rng, 2, 8, -2):
        w = rng.uniform(6, 8)
        trunk = [(-w - 5, 106), (-w, 92), (-w * 0.8, -4), (w * 0.8, -4), (w, 92), (w + 5, 106)]
        canvas.polygon(np.array(trunk) + (x, 0), darker(bark, 0.12))
        for dx in (-0.5, 0.1, 0.5):
            y = rng.uniform(10, 60)
            canvas.line([(x + dx * w, y), (x + dx * w, y + 22)], darker(bark, 0.34), 1, outline=False)
    canopy = lighting.shade((46, 110, 72))
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
        _mushroom(canvas, x, rng.uniform(100, 122), lighting)


def _mushroom(canvas: Canvas, x: float, y: float, lighting: Lighting) -> None:
    cap = lighting.shade((214, 68, 60))
    canvas.rectangle(x - 1.1, y - 4, x + 1.1, y, lighting.shade((246, 236, 216)), radius=0.8)
    canvas.polygon([(x - 4, y - 3.4), (x - 2.8, y - 6.2), (x, y - 7.4), (x + 2.8, y - 6.2), (x + 4, y - 3.4)], cap)
    for dx, dy in ((-1.6, -4.8), (1.2, -5.8)):
        dot(canvas, x + dx, y + dy, 0.7, lighter(cap, 0.8))


def draw_park(canvas: Canvas, lighting: Lighting, light: str, rng: random.Random) -> None:
    draw_sky(canvas, lighting, light, rng, 78)
    grass, bark = lighting.shade((122, 196, 92)), lighting.shade(BARK)
    draw_ridge(canvas, rng, 68, 6, 6, lighting.shade((110, 184, 130), 0.45))
    for x in np.arange(-4, 136, 15):
        leaf = lighting.shade(mix(LEAF, (70, 150, 120), rng.random()), 0.28)
        canvas.ellipse(x + rng.uniform(-4, 4), 75, rng.uniform(6, 9), rng.uniform(7, 10), leaf, outline=False)
    draw_ridge(canvas, rng, 80, 1.5, 5, grass)
    bend = rng.uniform(-18, 18)
    path = [(62 + bend, 80), (68 + bend, 80), (78, 96), (108, 132), (18, 132), (52, 96)]
    canvas.polygon(smooth(path, steps=4), lighting.shade((232, 212, 168)), outline=False)
    for x in both_sides(rng, rng.randint(2, 3), 20, 4):
        leaf = lighting.shade(mix(LEAF, (142, 186, 76), rng.random()))
        canvas.ellipse(x, 91.5, 14, 2.6, darker(grass, 0.16), outline=False)
        draw_tree(canvas, x, 92, rng.uniform(1, 1.35), leaf, bark)
    if rng.random() < 0.5:
        _bench(canvas, one_side(rng, 26, 20), 98, lighting)
    else:
        draw_street_lamp(canvas, one_side(rng, 32, 26), 96, lighting)
    draw_tufts(canvas, rng, darker(grass, 0.18), 7)
    for _ in range(8):
        x, y = one_side(rng, 40, 2), rng.uniform(96, 126)
        dot(canvas, x, y, 1.5, lighting.shade(rng.choice((WHITE, (250, 206, 80), (240, 132, 160)))))
        dot(canvas, x, y, 0.6, lighting.shade((240, 170, 50)))


def _bench(canvas: Canvas, x: float, y: float, lighting: Lighting) -> None:
    wood, iron = lighting.shade((176, 112, 68)), lighting.shade((70, 74, 88))
    with canvas.at(x, y):
        for leg in (-10, 10):
            canvas.line([(leg, -14), (leg, 0)], iron, 1.6)
        for top, bottom in ((-16, -13.6), (-12.6, -10.2), (-7.4, -4.6)):
            canvas.rectangle(-13, top, 13, bottom, wood, radius=0.8)
