"""The living room: a window, a sofa and a rug."""

from __future__ import annotations

import random

from limner.starter.painter.canvas import SIZE, Canvas, Gradient, darker, ellipse_points, lighter, mix
from limner.starter.painter.places.mood import Mood
from limner.starter.painter.places.palette import LAMPLIGHT, LEAF, WHITE
from limner.starter.painter.places.sky import draw_moon
from limner.starter.painter.places.touches import dot
from limner.starter.painter.vocabulary import RGB


def draw_living_room(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    papers = [(240, 214, 178), (196, 220, 212), (236, 200, 188), (208, 212, 232), (232, 222, 196)]
    wall = mood.indoors(rng.choice(papers))
    floor = mood.indoors((190, 134, 88))
    flip = rng.random() < 0.5
    with canvas.at(SIZE if flip else 0, 0, flip=flip):
        canvas.rectangle(-2, -2, SIZE + 2, 92, wall, outline=False)
        _room_window(canvas, rng.uniform(26, 34), mood, light, rng)
        _picture(canvas, rng.uniform(82, 88), rng.uniform(24, 32), wall, rng)
        canvas.rectangle(-2, 83, SIZE + 2, 87, lighter(wall, 0.5), outline=False)
        canvas.rectangle(-2, 87, SIZE + 2, 132, floor)
        for row, y in enumerate((93, 101, 112, 124)):
            canvas.rectangle(-2, y, SIZE + 2, y + 0.7, darker(floor, 0.2), outline=False)
            for x in range(row * 17 % 40, SIZE, 42):
                canvas.rectangle(x, y + 0.7, x + 0.7, y + 8 + row * 1.5, darker(floor, 0.2), outline=False)
        rug = mood.indoors(rng.choice(((196, 92, 88), (92, 126, 168), (120, 152, 118))))
        canvas.ellipse(64, 112, 50, 11, rug)
        canvas.ellipse(64, 112, 44, 9, lighter(rug, 0.3), outline=False)
        canvas.ellipse(64, 112, 41, 8, rug, outline=False)
        _sofa(canvas, 6, 98, mood.indoors(rng.choice(((74, 138, 140), (214, 148, 80), (126, 108, 168)))))
        _floor_lamp(canvas, rng.uniform(104, 108), 96, light)
        _plant(canvas, rng.uniform(119, 123), 98, mood, rng)


def _room_window(canvas: Canvas, x: float, mood: Mood, light: str, rng: random.Random) -> None:
    """A window 32 wide with curtains, and the sky of the hour behind it."""
    frame, cloth = mood.shade((250, 248, 240)), mood.shade((232, 150, 130))
    canvas.rectangle(x - 17, 11, x + 17, 55, frame)
    pane = canvas.rectangle(x - 14.5, 13.5, x + 14.5, 52.5, Gradient(mood.top, mood.bottom), outline=False)
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
            mood.shade(LEAF),
            outline=False,
        )
    canvas.rectangle(x - 0.8, 13, x + 0.8, 53, frame, outline=False)
    canvas.rectangle(x - 15, 31, x + 15, 32.6, frame, outline=False)
    for side in (-1, 1):
        edge = x + side * 20
        hem = [(11, 9), (12, 30), (15.5, 44), (14, 60)]
        canvas.polygon([(edge, 9), *((x + side * dx, y) for dx, y in hem), (edge, 60)], cloth)
        canvas.line([(x + side * 16.5, 11), (x + side * 17.6, 58)], darker(cloth, 0.15), 0.9, outline=False)
    canvas.rectangle(x - 23, 7, x + 23, 9.4, mood.shade((128, 88, 62)), radius=1)


def _picture(canvas: Canvas, x: float, y: float, wall: RGB, rng: random.Random) -> None:
    canvas.rectangle(x - 11, y - 10, x + 11, y + 10, darker(wall, 0.55))
    sheet = canvas.rectangle(x - 9.4, y - 8.4, x + 9.4, y + 8.4, lighter(wall, 0.6), outline=False)
    with canvas.clip(sheet):
        dot(canvas, x + rng.uniform(-4, 4), y - 1, 4, mix(wall, (232, 110, 76), 0.75))
        dot(canvas, x - 5, y + 9, 9, mix(wall, (84, 130, 128), 0.7), 6)
        dot(canvas, x + 6, y + 10, 9, mix(wall, (52, 92, 112), 0.7), 6)


def _sofa(canvas: Canvas, x: float, y: float, cloth: RGB) -> None:
    """The right end of a sofa that runs off the left border; it stands at y."""
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


def _plant(canvas: Canvas, x: float, y: float, mood: Mood, rng: random.Random) -> None:
    leaf = mood.indoors((70, 146, 92))
    for k, angle in enumerate((-52, -28, -6, 18, 42)):
        with canvas.at(x, y - 10, angle=angle + rng.uniform(-5, 5)):
            canvas.blob([(0, 0), (-3.4, -11), (0, -22), (3.4, -11)], lighter(leaf, 0.14) if k % 2 else leaf)
    canvas.polygon([(x - 6.5, y - 11), (x + 6.5, y - 11), (x + 4.6, y), (x - 4.6, y)], mood.shade((214, 118, 84)))
