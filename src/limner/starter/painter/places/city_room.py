"""The city (a street before a row of houses) and the living room (a window, a sofa and a rug)."""

from __future__ import annotations

import random

import numpy as np

from limner.starter.painter.canvas import RGB, SIZE, Canvas, Gradient, darker, ellipse_points, lighter, mix
from limner.starter.painter.places.lighting import BARK, LAMPLIGHT, LEAF, WHITE, Lighting
from limner.starter.painter.places.scenery import both_sides, dot, draw_street_lamp, draw_tree, one_side, patch
from limner.starter.painter.places.sky import draw_moon, draw_sky


def draw_city(canvas: Canvas, lighting: Lighting, light: str, rng: random.Random) -> None:
    draw_sky(canvas, lighting, light, rng, 84, clouds=2, sun_x=44, lift=40)
    x = -4.0
    while x < SIZE:
        w = rng.uniform(9, 17)
        canvas.rectangle(x, rng.uniform(34, 58), x + w, 90, lighting.shade((138, 158, 190), 0.5), outline=False)
        x += w
    walls = [(206, 126, 104), (232, 194, 142), (116, 142, 178), (172, 158, 186), (124, 172, 168)]
    rng.shuffle(walls)
    spans = ((14, 18), (34, 40), (58, 70), (90, 96), (110, 116), (134, 134))
    rises = ((14, 30), (38, 46), (54, 60), (50, 60), (38, 46), (12, 28))
    left = -6.0
    for k, (span, rise) in enumerate(zip(spans, rises, strict=True)):
        right, top = rng.uniform(*span), rng.uniform(*rise)
        _building(canvas, left, right, top, lighting.shade(walls[k % 5], 0.08), lighting, rng)
        left = right
    pavement, road = lighting.shade((196, 198, 206)), lighting.shade((112, 116, 130))
    canvas.rectangle(-2, 86, SIZE + 2, 132, pavement)
    canvas.rectangle(-2, 92, SIZE + 2, 93.4, darker(pavement, 0.22), outline=False)
    canvas.rectangle(-2, 93.4, SIZE + 2, 132, road)
    shift = rng.uniform(0, 26)
    for k in range(-1, 5):
        x = k * 30 + shift
        patch(canvas, [(x, 120), (x + 16, 120), (x + 15, 123), (x - 2, 123)], lighting.shade((244, 236, 206)))
    draw_street_lamp(canvas, one_side(rng, 26, 12), 92, lighting)
    for x in both_sides(rng, rng.randint(1, 2), 34, 24):
        draw_tree(canvas, x, 91, 0.5, lighting.shade(LEAF), lighting.shade(BARK))


def _building(
    canvas: Canvas, x0: float, x1: float, top: float, wall: RGB, lighting: Lighting, rng: random.Random
) -> None:
    canvas.rectangle(x0, top, x1, 90, wall)
    canvas.rectangle(x1 - 2.5, top, x1, 90, darker(wall, 0.16), outline=False)
    canvas.rectangle(x0 - 0.8, top - 1.6, x1 + 0.8, top + 0.6, darker(wall, 0.22), outline=False)
    columns = max(2, round((x1 - x0) / 8))
    gap = (x1 - x0 - 3) / columns
    for row in np.arange(top + 5, 80, 10.5):
        for k in range(columns):
            x = x0 + 0.6 + gap * (k + 0.5)
            patch(
                canvas,
                [(x - 1.6, row), (x + 1.6, row), (x + 1.6, row + 4.6), (x - 1.6, row + 4.6)],
                lighting.window(rng, wall),
            )


def draw_living_room(canvas: Canvas, lighting: Lighting, light: str, rng: random.Random) -> None:
    papers = [(240, 214, 178), (196, 220, 212), (236, 200, 188), (208, 212, 232), (232, 222, 196)]
    wall = lighting.indoors(rng.choice(papers))
    floor = lighting.indoors((190, 134, 88))
    flip = rng.random() < 0.5
    with canvas.at(SIZE if flip else 0, 0, flip=flip):
        canvas.rectangle(-2, -2, SIZE + 2, 92, wall, outline=False)
        _room_window(canvas, rng.uniform(26, 34), lighting, light, rng)
        _picture(canvas, rng.uniform(82, 88), rng.uniform(24, 32), wall, rng)
        canvas.rectangle(-2, 83, SIZE + 2, 87, lighter(wall, 0.5), outline=False)
        canvas.rectangle(-2, 87, SIZE + 2, 132, floor)
        for row, y in enumerate((93, 101, 112, 124)):
            canvas.rectangle(-2, y, SIZE + 2, y + 0.7, darker(floor, 0.2), outline=False)
            for x in range(row * 17 % 40, SIZE, 42):
                canvas.rectangle(x, y + 0.7, x + 0.7, y + 8 + row * 1.5, darker(floor, 0.2), outline=False)
        rug = lighting.indoors(rng.choice(((196, 92, 88), (92, 126, 168), (120, 152, 118))))
        canvas.ellipse(64, 112, 50, 11, rug)
        canvas.ellipse(64, 112, 44, 9, lighter(rug, 0.3), outline=False)
        canvas.ellipse(64, 112, 41, 8, rug, outline=False)
        _sofa(canvas, 6, 98, lighting.indoors(rng.choice(((74, 138, 140), (214, 148, 80), (126, 108, 168)))))
        _floor_lamp(canvas, rng.uniform(104, 108), 96, light)
        _plant(canvas, rng.uniform(119, 123), 98, lighting, rng)


def _room_window(canvas: Canvas, x: float, lighting: Lighting, light: str, rng: random.Random) -> None:
    """Draw a window, 32 wide, with curtains, and the sky behind it."""
    frame, cloth = lighting.shade((250, 248, 240)), lighting.shade((232, 150, 130))
    canvas.rectangle(x - 17, 11, x + 17, 55, frame)
    pane = canvas.rectangle(x - 14.5, 13.5, x + 14.5, 52.5, Gradient(lighting.top, lighting.bottom), outline=False)
    with canvas.clip(pane):
        if light == "night":
            draw_moon(canvas, x + 6, 24, 5)
            for dx, dy in ((-10, 18), (-6, 30), (3, 36), (-9, 42), (-2, 19)):
                dot(canvas, x + dx, dy, 0.6, WHITE)
        else:
            low = light == "sunset"
            dot(canvas, x + 6, 38 if low else 23, 5.5, (255, 236, 170) if low else (255, 220, 92))
        canvas.blob(
            [(x - 22, 56), (x - 14, 46), (x - 4, 44), (x + 6, 48), (x + 16, 43), (x + 22, 56)],
            lighting.shade(LEAF),
            outline=False,
        )
    canvas.rectangle(x - 0.8, 13, x + 0.8, 53, frame, outline=False)
    canvas.rectangle(x - 15, 31, x + 15, 32.6, frame, outline=False)
    for side in (-1, 1):
        edge = x + side * 20
        hem = [(11, 9), (12, 30), (15.5, 44), (14, 60)]
        canvas.polygon([(edge, 9), *((x + side * dx, y) for dx, y in hem), (edge, 60)], cloth)
        canvas.line([(x + side * 16.5, 11), (x + side * 17.6, 58)], darker(cloth, 0.15), 0.9, outline=False)
    canvas.rectangle(x - 23, 7, x + 23, 9.4, lighting.shade((128, 88, 62)), radius=1)


def _picture(canvas: Canvas, x: float, y: float, wall: RGB, rng: random.Random) -> None:
    canvas.rectangle(x - 11, y - 10, x + 11, y + 10, darker(wall, 0.55))
    sheet = canvas.rectangle(x - 9.4, y - 8.4, x + 9.4, y + 8.4, lighter(wall, 0.6), outline=False)
    with canvas.clip(sheet):
        dot(canvas, x + rng.uniform(-4, 4), y - 1, 4, mix(wall, (232, 110, 76), 0.75))
        dot(canvas, x - 5, y + 9, 9, mix(wall, (84, 130, 128), 0.7), 6)
        dot(canvas, x + 6, y + 10, 9, mix(wall, (52, 92, 112), 0.7), 6)


def _sofa(canvas: Canvas, x: float, y: float, cloth: RGB) -> None:
    """Draw the right end of a sofa, which continues past the left border and stands at y."""
    canvas.rectangle(x + 18, y - 4, x + 21, y + 1, darker(cloth, 0.6), outline=False)
    canvas.rectangle(-20, y - 35, x + 22, y - 4, cloth, radius=7)
    canvas.rectangle(-20, y - 18, x + 19, y - 8, lighter(cloth, 0.18), radius=3)
    canvas.rectangle(-20, y - 9, x + 24, y - 3, darker(cloth, 0.18), radius=2)
    canvas.rectangle(x + 15, y - 25, x + 26, y - 3, lighter(cloth, 0.08), radius=5)
    with canvas.at(x + 3, y - 25, angle=12):
        canvas.rectangle(-8, -7, 8, 7, mix(cloth, (250, 236, 206), 0.75), radius=3)


def _floor_lamp(canvas: Canvas, x: float, y: float, light: str) -> None:
    glow = {"day": 0.0, "sunset": 0.25, "night": 0.36}[light]
    if glow:
        canvas.polygon(ellipse_points(x, y - 48, 26, 26, n=28), LAMPLIGHT, alpha=glow / 2, outline=False)
        canvas.polygon(ellipse_points(x, y - 48, 17, 17, n=28), LAMPLIGHT, alpha=glow, outline=False)
    canvas.rectangle(x - 0.8, y - 44, x + 0.8, y, (84, 72, 70))
    canvas.rectangle(x - 6, y - 1.6, x + 6, y, (84, 72, 70), radius=0.8)
    shade = (255, 232, 164) if glow else (246, 234, 208)
    canvas.polygon([(x - 5.5, y - 58), (x + 5.5, y - 58), (x + 9, y - 43), (x - 9, y - 43)], shade)


def _plant(canvas: Canvas, x: float, y: float, lighting: Lighting, rng: random.Random) -> None:
    leaf = lighting.indoors((70, 146, 92))
    for k, angle in enumerate((-52, -28, -6, 18, 42)):
        with canvas.at(x, y - 10, angle=angle + rng.uniform(-5, 5)):
            canvas.blob([(0, 0), (-3.4, -11), (0, -22), (3.4, -11)], lighter(leaf, 0.14) if k % 2 else leaf)
    canvas.polygon([(x - 6.5, y - 11), (x + 6.5, y - 11), (x + 4.6, y), (x - 4.6, y)], lighting.shade((214, 118, 84)))
