"""The muzzle of a cat and of a dog, in head units."""

from __future__ import annotations

from limner.starter.painter.animals.look import INK, Look
from limner.starter.painter.animals.solids import line_colour
from limner.starter.painter.canvas import Canvas, lighter, mix


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
