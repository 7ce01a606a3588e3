"""The markings of a face, drawn inside the head in head units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from limner.starter.painter.animals.contours import mirror, ribbon
from limner.starter.painter.animals.look import Look
from limner.starter.painter.canvas import Canvas


def _face_stripes(canvas: Canvas, look: Look) -> None:
    for x, length in ((-4.5, 5), (0, 7), (4.5, 5)):
        canvas.polygon(
            ribbon([(x, -17), (x * 0.9, -17 + length), (x * 0.8, -14 + length)], (3, 1)),
            look.mark_colour,
            outline=False,
        )
    for side in (-1, 1):
        for y in (3.5, 8):
            canvas.polygon(
                ribbon([(side * 20, y - 1), (side * 15, y), (side * 12.5, y)], (2.4, 0.8)),
                look.mark_colour,
                outline=False,
            )


def _face_zigzags(canvas: Canvas, look: Look) -> None:
    steps = np.arange(9)
    places = np.stack([(steps - 4) * 3.2, -10.5 + 1.8 * (-1.0) ** steps], axis=1)
    canvas.line(places, look.mark_colour, 2, outline=False)


def _face_spots(canvas: Canvas, look: Look) -> None:
    for x, y, size in ((-5, -11.5, 2.6), (5.5, -9.5, 1.9), (0.8, -14, 1.4), (12.5, 6, 2), (-12, 7.5, 1.7)):
        canvas.ellipse(x, y, size, size * 0.9, look.mark_colour, outline=False)


def _face_patches(canvas: Canvas, look: Look) -> None:
    canvas.blob([(-20, -16), (-3, -18), (-2.5, -6), (-7, 4.5), (-20, 3)], look.mark_colour, outline=False)
    canvas.blob([(20, -17), (4, -18), (4, -8), (10, -1), (20, -1)], look.other_mark_colour, outline=False)


def _face_dark(canvas: Canvas, look: Look) -> None:
    canvas.blob(
        [(0, -6), (6, -2), (11, 3.5), (8.5, 10), (0, 14), (-8.5, 10), (-11, 3.5), (-6, -2)],
        look.mark_colour,
        outline=False,
    )


def _face_mask(canvas: Canvas, look: Look) -> None:
    brow = [(0, -3), (4, -9.5), (9.5, -8.5), (15, -1), (19, 3), (17, 16), (0, 20)]
    canvas.blob([*brow, *mirror(brow[:0:-1])], look.mark_colour, outline=False)


def _face_hood(canvas: Canvas, look: Look) -> None:
    canvas.blob(
        [(0, -22), (18, -18), (20, 2), (14, 9), (8, 4), (0, 0), (-8, 4), (-14, 9), (-20, 2), (-18, -18)],
        look.other_mark_colour,
        outline=False,
    )


def _face_blaze(canvas: Canvas, look: Look) -> None:
    canvas.blob(
        [(0, -19), (2.8, -12), (2.6, -3), (7, 4), (10, 11), (0, 18), (-10, 11), (-7, 4), (-2.6, -3), (-2.8, -12)],
        look.muzzle,
        outline=False,
    )


FACE_MARKS: dict[str, Callable[[Canvas, Look], None]] = {
    "stripes": _face_stripes,
    "zigzags": _face_zigzags,
    "face spots": _face_spots,
    "dots": _face_spots,
    "face patches": _face_patches,
    "dark face": _face_dark,
    "mask": _face_mask,
    "hood": _face_hood,
    "blaze": _face_blaze,
}
