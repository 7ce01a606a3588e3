"""The head in head units: ears, eyes, muzzle, face, and what grows on it."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from limner.starter.painter.animals.look import INK, Look
from limner.starter.painter.animals.marks import FACE_MARKS, draw_emblem
from limner.starter.painter.animals.shapes import coat_edge, line_colour, mirror, modelled, solid
from limner.starter.painter.canvas import RGB, Canvas, darker, ellipse_points, lighter, mix, smooth

EARS: dict[str, tuple[list[tuple[float, float]], bool]] = {  # left ear, and whether it hangs in front of the head
    "pointed": ([(-16.5, -3), (-17, -16), (-15.6, -25), (-14, -25.4), (-8, -20), (-3, -13)], False),
    "small": ([(-16.5, -5), (-16.5, -14), (-14, -20.5), (-11.5, -21), (-7, -17.5), (-4, -12)], False),
    "upright": ([(-16, -4), (-19, -16), (-18.5, -27), (-15.5, -29.5), (-10, -25), (-5, -18), (-3, -12)], False),
    "round": ([(-16, -4), (-20.5, -10), (-20, -18), (-14, -22), (-8, -19), (-5, -12)], False),
    "floppy": ([(-9, -14.5), (-15.5, -14), (-20, -8), (-22, 3), (-19, 9), (-15, 6.5), (-13, -2), (-11, -8)], True),
    "long": ([(-8, -14.5), (-15, -14), (-19.5, -7), (-22, 6), (-20.5, 15), (-15.5, 16), (-13, 7), (-12.5, -6)], True),
    "pompom": ([(-10, -11), (-17, -11), (-22, -2), (-22.5, 8), (-18, 13), (-13.5, 9), (-12.5, 0)], True),
}


def draw_ears(canvas: Canvas, look: Look) -> None:
    points, hanging = EARS[look.ears]
    colour = look.ear_colour or look.coat
    contour = smooth(points, steps=5) * (look.cheeks, 1)
    if look.ears == "pompom":
        contour = coat_edge(contour, "curly")
    calico = "face patches" in look.marks
    for side, ear in ((-1, contour), (1, mirror(contour))):
        solid(canvas, ear, look.other_mark_colour if calico and side == 1 else colour)
        if not hanging:
            root = np.array([ear[:, 0].mean(), ear[:, 1].max()])
            canvas.polygon(root + (ear - root) * (0.56, 0.72), look.inner_ear, outline=False)


def _draw_eye(canvas: Canvas, look: Look, x: float, y: float, colour: RGB, gaze: float) -> None:
    """Draw one eye: a coloured iris, a pupil (a slit for cats), and two highlights."""
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
        x, y = eye_position(look, side)
        if blink:
            canvas.line([(x - 4, y), (x, y + 2), (x + 4, y)], lid, 1.4, curve=True)
        else:
            _draw_eye(canvas, look, x, y, colour, gaze)


def eye_position(look: Look, side: int) -> tuple[float, float]:
    """The centre of the left (-1) or right (1) eye."""
    return side * (7.6 if look.is_cat else 6.9) * look.cheeks, -1.0 if look.is_cat else -2.6


def draw_cat_muzzle(canvas: Canvas, look: Look) -> None:
    ink = lighter(look.muzzle, 0.45) if sum(look.muzzle) < 260 else INK
    canvas.ellipse(0, 8, 7, 4.6, look.muzzle, outline=False)
    canvas.blob([(-2.3, 4.4), (0, 4), (2.3, 4.4), (0, 6.8)], look.nose)
    for side in (-1, 1):
        canvas.line([(0, 6.6), (side * 0.8, 8.9), (side * 3, 9.4), (side * 4.2, 8.2)], ink, 0.9, curve=True)
        for y, drop in ((6.6, -0.8), (8.8, 1.4)):
            whisker = mix(line_colour(look.coat), ink, 0.4)
            canvas.line([(side * 9, y), (side * 20.5, y + drop)], whisker, 0.6)


def draw_dog_muzzle(canvas: Canvas, look: Look) -> None:
    ink = lighter(look.muzzle, 0.45) if sum(look.muzzle) < 260 else INK
    canvas.blob(
        [(0, 1.5), (5.5, 4), (8.8, 9), (5.5, 13.6), (0, 14.6), (-5.5, 13.6), (-8.8, 9), (-5.5, 4)],
        look.muzzle,
        outline=False,
    )
    canvas.blob([(-2.6, 10.2), (2.6, 10.2), (2.3, 13.6), (0, 15), (-2.3, 13.6)], (232, 104, 118))
    for side in (-1, 1):
        canvas.line([(0, 7), (side * 0.7, 9.8), (side * 3.4, 10.5), (side * 5.6, 8.8)], ink, 1, curve=True)
    canvas.blob([(-3.8, 4), (0, 2.9), (3.8, 4), (2.6, 6.8), (0, 7.8), (-2.6, 6.8)], look.nose)
    canvas.ellipse(-1.1, 4.4, 1.3, 0.7, lighter(look.nose, 0.55), outline=False)


def _draw_antenna(canvas: Canvas, look: Look) -> None:
    canvas.line([(0, -14), (1, -20), (4.5, -26)], INK, 1.6, curve=True)
    solid(canvas, ellipse_points(5, -28, 3.8, 3.8, n=24), look.part_colour)
    canvas.ellipse(3.9, -29.2, 1.1, 1.1, (255, 255, 255), outline=False)


def _draw_horn(canvas: Canvas, look: Look) -> None:
    solid(
        canvas, np.array([(-4, -12), (-2.2, -20), (0, -31), (2.2, -20), (4, -12), (0, -10.8)], float), look.part_colour
    )
    for y, reach in ((-15, 3.2), (-19, 2.3), (-23, 1.5)):
        canvas.line([(-reach, y + 0.8), (reach, y - 1)], darker(look.part_colour, 0.3), 0.9, outline=False)


def _draw_mohawk(canvas: Canvas, look: Look) -> None:
    crest = [(-6, -12), (-8.5, -22), (-4, -19), (-2.5, -28), (1, -20.5), (5, -26), (5.5, -18.5), (9.5, -20), (6, -12)]
    solid(canvas, np.array([*crest, (0, -9)], float), look.part_colour)


def _draw_topknot(canvas: Canvas, look: Look) -> None:
    solid(canvas, coat_edge(ellipse_points(0, -15.5, 11, 7.5), "curly"), look.mark_colour)


HEAD_PARTS: dict[str, Callable[[Canvas, Look], None]] = {
    "antenna": _draw_antenna,
    "horn": _draw_horn,
    "mohawk": _draw_mohawk,
    "topknot": _draw_topknot,
}


def _head_contour(look: Look) -> np.ndarray:
    if look.is_cat:
        half = [(0, -15.5), (9, -14.3), (15.5, -8), (18, 1), (16, 8.5), (9, 13.4)]
        chin = (0, 14.6)
    else:
        half = [(0, -16), (9, -14.6), (14.6, -8.5), (16, 0), (15, 7.5), (9, 14.2)]
        chin = (0, 16)
    points = [*half, chin, *mirror(half[:0:-1])]
    fur = look.fur if look.is_cat or look.fur == "curly" else "smooth"
    return coat_edge(smooth(points, steps=5) * (look.cheeks, 1), fur)


def draw_head(canvas: Canvas, look: Look, rng: random.Random) -> None:
    hanging = EARS[look.ears][1]
    if not hanging:
        draw_ears(canvas, look)
    head = modelled(canvas, _head_contour(look), look.coat)
    with canvas.clip(head):
        for name, draw in FACE_MARKS.items():
            if name in look.marks:
                draw(canvas, look)
    if hanging:
        draw_ears(canvas, look)
    (draw_cat_muzzle if look.is_cat else draw_dog_muzzle)(canvas, look)
    draw_eyes(canvas, look, rng)
    draw_emblem(canvas, look, "forehead", 0, -10.4, 4.6)
    for name, draw in HEAD_PARTS.items():
        if name in look.marks:
            draw(canvas, look)
