"""The head: ears, face, muzzle, eyes and what grows on it."""

from __future__ import annotations

import random

import numpy as np

from limner.starter.painter.animals.contours import coat_edge, mirror
from limner.starter.painter.animals.ears import EARS, draw_ears
from limner.starter.painter.animals.emblems import draw_emblem
from limner.starter.painter.animals.eyes import draw_eyes
from limner.starter.painter.animals.face import FACE_MARKS
from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.muzzle import draw_cat_muzzle, draw_dog_muzzle
from limner.starter.painter.animals.parts import HEAD_PARTS
from limner.starter.painter.animals.solids import modelled
from limner.starter.painter.canvas import Canvas, smooth


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
    """The head in head units."""
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
