"""Marks: the markings of a coat and of a face, and emblems."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.shapes import PoseLayout, mirror, ribbon
from limner.starter.painter.canvas import Canvas, Points


def _fractions(torso: np.ndarray, places: Points) -> np.ndarray:
    """Positions given as fractions of the torso's bounding box, in animal units."""
    low, high = torso.min(0), torso.max(0)
    return low + np.asarray(places, float) * (high - low)


_SPOT_PLACES = (
    (0.1, 0.45),
    (0.24, 0.2),
    (0.3, 0.68),
    (0.46, 0.4),
    (0.62, 0.12),
    (0.66, 0.62),
    (0.84, 0.36),
    (0.9, 0.75),
)
_FRONTAL_SPOT_PLACES = ((0.22, 0.34), (0.5, 0.42), (0.72, 0.24), (0.78, 0.5), (0.32, 0.1), (0.08, 0.72), (0.93, 0.76))


def _spot_places(layout: PoseLayout) -> np.ndarray:
    return _fractions(layout.torso, _FRONTAL_SPOT_PLACES if layout.frontal else _SPOT_PLACES)


def _spots(canvas: Canvas, look: Look, layout: PoseLayout) -> None:
    for k, (x, y) in enumerate(_spot_places(layout)):
        size = (2.9, 2.1, 2.5)[k % 3]
        canvas.ellipse(x, y, size, size * 0.86, look.mark_colour, angle=40 * k, outline=False)


def _dots(canvas: Canvas, look: Look, layout: PoseLayout) -> None:
    for x, y in _spot_places(layout):
        canvas.ellipse(x, y, 2.7, 2.7, look.mark_colour, outline=False)


def _stripe_paths(layout: PoseLayout) -> list[np.ndarray]:
    """Stripes from the flanks inward (sitting) or from the back downward."""
    if layout.frontal:
        places = [
            [(edge, y), (edge + way * 0.2, y + 0.02), (edge + way * 0.32, y - 0.02)]
            for y in (0.34, 0.52, 0.7)
            for edge, way in ((0, 1), (1, -1))
        ]
    else:
        places = [[(x, -0.05), (x - 0.025, 0.25), (x + 0.02, 0.52)] for x in (0.1, 0.23, 0.36, 0.49, 0.62)]
    return [_fractions(layout.torso, place) for place in places]


def _stripes(canvas: Canvas, look: Look, layout: PoseLayout) -> None:
    for path in _stripe_paths(layout):
        canvas.polygon(ribbon(path, (4.2, 3, 0.8)), look.mark_colour, outline=False)


def _zigzags(canvas: Canvas, look: Look, layout: PoseLayout) -> None:
    for y in (0.34, 0.56) if layout.frontal else (0.42, 0.7):
        steps = np.arange(11)
        places = np.stack([steps / 10, y + 0.07 * (-1.0) ** steps], axis=1)
        canvas.line(_fractions(layout.torso, places), look.mark_colour, 2.2, outline=False)


def _patches(canvas: Canvas, look: Look, layout: PoseLayout) -> None:
    for (x, y), size, colour in zip(
        _fractions(layout.torso, ((0.16, 0.32), (0.6, 0.18), (0.92, 0.58))),
        (8.5, 7, 8.5),
        (look.other_mark_colour, look.mark_colour, look.other_mark_colour),
        strict=True,
    ):
        wave = [(-1, -0.2), (-0.4, -1), (0.5, -0.8), (1, 0), (0.6, 0.9), (-0.3, 0.7)]
        canvas.blob(np.asarray(wave) * size + (x, y), colour, outline=False)


def _saddle(canvas: Canvas, look: Look, layout: PoseLayout) -> None:
    if layout.frontal:
        flank = np.array([(-24, -42), (-9, -36), (-8, -24), (-12, -12), (-24, -10)], float)
        for part in (flank, mirror(flank)):
            canvas.blob(part, look.mark_colour, outline=False)
        return
    cape = [(-0.02, -0.1), (0.6, -0.2), (0.72, 0.2), (0.5, 0.52), (0.25, 0.46), (0.02, 0.6)]
    canvas.blob(_fractions(layout.torso, cape), look.mark_colour, outline=False)


def _bib(canvas: Canvas, look: Look, layout: PoseLayout) -> None:
    x, y, width = layout.neck
    canvas.ellipse(x + (0 if layout.frontal else 3), y + 5, width * 0.5, 12, look.mark_colour, outline=False)


COAT_MARKS: dict[str, Callable[[Canvas, Look, PoseLayout], None]] = {  # drawn inside the torso
    "spots": _spots,
    "dots": _dots,
    "stripes": _stripes,
    "zigzags": _zigzags,
    "patches": _patches,
    "saddle": _saddle,
    "bib": _bib,
}


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


FACE_MARKS: dict[str, Callable[[Canvas, Look], None]] = {  # drawn inside the head, in head units
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


def _star() -> np.ndarray:
    turn = np.arange(10) * math.pi / 5
    radius = np.where(np.arange(10) % 2 == 0, 1.05, 0.46)
    return np.stack([radius * np.sin(turn), -radius * np.cos(turn)], axis=1)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * math.pi, 30, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -y - 2], axis=1) / 15.5


def _moon() -> np.ndarray:
    t = np.radians(np.arange(40, 321, 14))
    outer = np.stack([np.cos(t), np.sin(t)], axis=1)
    s = np.radians(np.arange(300, 59, -16))
    inner = np.stack([0.42 + 0.72 * np.cos(s), 0.72 * np.sin(s)], axis=1)
    return np.concatenate([outer, inner])


def _flower() -> np.ndarray:
    t = np.linspace(0, 2 * math.pi, 50, endpoint=False)
    radius = 0.68 + 0.34 * np.cos(5 * t)
    return np.stack([radius * np.sin(t), -radius * np.cos(t)], axis=1)


def _spiral() -> np.ndarray:
    t = np.linspace(0.4, 4.6 * math.pi, 44)
    middle = np.stack([np.cos(t), np.sin(t)], axis=1) * (t / t[-1])[:, None]
    return ribbon(middle[::2], (0.24, 0.3))


EMBLEMS: dict[str, np.ndarray] = {  # contours around (0, 0) with radius 1
    "star": _star(),
    "heart": _heart(),
    "moon": _moon(),
    "flower": _flower(),
    "spiral": _spiral(),
    "diamond": np.array([(0, -1.1), (0.75, 0), (0, 1.1), (-0.75, 0)]),
    "lightning": np.array([(0.25, -1.15), (-0.6, 0.15), (-0.05, 0.15), (-0.3, 1.15), (0.65, -0.25), (0.08, -0.25)]),
}


def draw_emblem(canvas: Canvas, look: Look, place: str, x: float, y: float, radius: float) -> None:
    """Draw the emblems of one place, which are marks such as "belly star" or "forehead lightning"."""
    for mark in look.marks:
        where, _, form = mark.partition(" ")
        if where == place and form in EMBLEMS:
            canvas.polygon(EMBLEMS[form] * radius + (x, y), look.mark_colour, outline=False)
