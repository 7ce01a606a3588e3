"""The eyes, in head units."""

from __future__ import annotations

import random

from limner.starter.painter.animals.look import INK, Look
from limner.starter.painter.canvas import Canvas, lighter
from limner.starter.painter.vocabulary import RGB


def _draw_eye(canvas: Canvas, look: Look, x: float, y: float, colour: RGB, gaze: float) -> None:
    """One big shiny eye: a coloured iris (a slit pupil for cats), and two highlights."""
    rx, ry = (4.7, 5) if look.is_cat else (3.9, 4.5)
    rim = lighter(look.coat, 0.12) if sum(look.coat) < 240 else INK
    canvas.ellipse(x, y, rx + 0.7, ry + 0.7, rim, outline=False)
    canvas.ellipse(x, y, rx, ry, colour)
    pupil = (2.2, 4.1) if look.is_cat else (2.7, 3.2)
    canvas.ellipse(x + gaze, y + 0.2, *pupil, (22, 18, 26), outline=False)
    canvas.ellipse(x + 1.5, y - 1.9, 1.5, 1.5, (255, 255, 255), outline=False)
    canvas.ellipse(x - 1.5, y + 2.1, 0.8, 0.8, (255, 255, 255), outline=False)


def draw_eyes(canvas: Canvas, look: Look, rng: random.Random) -> None:
    gaze, blink = rng.uniform(-0.8, 0.8), rng.random() < 0.04 and look.second_eye is None
    lid = INK if sum(look.coat) > 240 else lighter(look.coat, 0.5)
    for side, colour in ((-1, look.eye), (1, look.second_eye or look.eye)):
        x, y = eye_place(look, side)
        if blink:
            canvas.line([(x - 4, y), (x, y + 2), (x + 4, y)], lid, 1.4, curve=True)
        else:
            _draw_eye(canvas, look, x, y, colour, gaze)


def eye_place(look: Look, side: int) -> tuple[float, float]:
    return side * (7.6 if look.is_cat else 6.9) * look.cheeks, -1.0 if look.is_cat else -2.6
