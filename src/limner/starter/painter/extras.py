"""Extras: hats, glasses and neckwear, placed on an animal by its `Anatomy`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np

from limner.starter.painter.animals import HEAD, Anatomy, line_colour, solid
from limner.starter.painter.canvas import RGB, Canvas, darker, ellipse_points, lighter
from limner.starter.painter.vocabulary import COLOURS

GOLD: RGB = (250, 196, 48)
BLACK: RGB = (30, 28, 36)
_PETALS: tuple[RGB, ...] = ((244, 96, 124), (255, 214, 84), (250, 250, 250), (250, 146, 70), (180, 118, 230))


# Hats: the origin is the top of the head, in head units.


def _top_hat(canvas: Canvas, colour: RGB) -> None:
    band = lighter(colour, 0.6) if sum(colour) < 240 else darker(colour, 0.5)
    crown = solid(canvas, np.array([(-10, 0), (-11, -20), (11, -20), (10, 0)], float), colour)
    with canvas.clip(crown):
        canvas.rectangle(-12, -7, 12, -2, band, outline=False)
        canvas.rectangle(5, -21, 12, 1, darker(colour, 0.35), alpha=0.35, outline=False)
    solid(canvas, ellipse_points(0, -0.5, 16, 3.4), colour)
    canvas.ellipse(0, -20, 11, 2, lighter(colour, 0.2), outline=False)


def _party_hat(canvas: Canvas, colour: RGB) -> None:
    trim = COLOURS["yellow"] if colour != COLOURS["yellow"] else COLOURS["pink"]
    cone = solid(canvas, np.array([(-10, 1), (0, -24), (10, 1), (5, 2.6), (-5, 2.6)], float), colour)
    with canvas.clip(cone):
        for x, y in ((-4.5, -2), (3.5, -3.5), (-0.5, -9.5), (1.6, -15.5)):
            canvas.ellipse(x, y, 1.9, 1.9, trim, outline=False)
    solid(canvas, ellipse_points(0, -24.5, 4, 4, n=20), trim)


def _crown(canvas: Canvas, colour: RGB) -> None:
    spikes = [(-13, 2), (-15, -14), (-7.5, -6), (0, -18), (7.5, -6), (15, -14), (13, 2), (0, 4.2)]
    solid(canvas, np.array(spikes, float), colour)
    canvas.line([(-12.6, -1.4), (0, 0.6), (12.6, -1.4)], darker(colour, 0.25), 1.2, curve=True, outline=False)
    for x, y, jewel in ((-15, -14, "red"), (0, -18, "blue"), (15, -14, "red")):
        canvas.ellipse(x, y, 2.2, 2.2, COLOURS[jewel])
    canvas.ellipse(0, -5, 2.4, 3, COLOURS["red"], outline=False)


def _flower_wreath(canvas: Canvas, colour: RGB) -> None:
    bow = [(u, 3.4 - 5.4 * math.cos(u / 15 * math.pi / 2)) for u in np.linspace(-15, 15, 7)]
    canvas.line(bow, (78, 146, 70), 2.4, curve=True)
    for k in range(6):
        x, y = np.mean(bow[k : k + 2], axis=0)
        canvas.ellipse(x, y - 3, 3, 1.6, (96, 172, 84), angle=50 - 20 * k, outline=False)
    for k, (x, y) in enumerate(bow):
        _flower(canvas, x, y, 4.9 if k % 2 else 4.1, _PETALS[k % len(_PETALS)])


def _flower(canvas: Canvas, x: float, y: float, radius: float, petal: RGB) -> None:
    t = np.linspace(0, 2 * math.pi, 30, endpoint=False)
    reach = radius * (0.82 + 0.24 * np.cos(5 * t))
    solid(canvas, np.stack([x + reach * np.sin(t), y - reach * np.cos(t)], axis=1), petal)
    heart = (250, 196, 48) if petal != (255, 214, 84) else (214, 96, 50)
    canvas.ellipse(x, y, radius * 0.38, radius * 0.38, heart, outline=False)


# Glasses: the origin is midway between the eyes; `gap` is half their distance, all in head units.


def _glasses(canvas: Canvas, colour: RGB, gap: float) -> None:
    for side in (-1, 1):
        canvas.line([(side * (gap + 6), -0.8), (side * 17, -2)], colour, 1.7)
        lens = ellipse_points(side * gap, 0, 6.3, 6.3, n=28)
        canvas.polygon(lens, (226, 240, 250), alpha=0.28, outline=False)
        ring = [*lens, lens[0]]
        canvas.line(ring, lighter(colour, 0.5), 2.6, outline=False)
        canvas.line(ring, colour, 1.8)
    canvas.line([(-gap + 6, -0.8), (0, -1.8), (gap - 6, -0.8)], colour, 1.7, curve=True)


def _sunglasses(canvas: Canvas, colour: RGB, gap: float) -> None:
    canvas.line([(-17, -3.5), (17, -3.5)], colour, 2.2)
    for side in (-1, 1):
        lens = [(-6.6, -4.6), (0, -5), (6.6, -4.6), (6.4, 1.5), (2.6, 5.4), (-2.6, 5.4), (-6.4, 1.5)]
        canvas.blob(np.asarray(lens) + (side * gap, 0), colour, stroke=lighter(colour, 0.5), width=1)
        shine = np.array([(-4, -3), (-1, -3), (-3.6, 2), (-4.8, 0.6)]) + (side * gap, 0)
        canvas.polygon(shine, (190, 206, 226), alpha=0.75, outline=False)


# Neckwear: the origin is the centre of the neck, and the neck is 20 wide.


def _scarf(canvas: Canvas, colour: RGB) -> None:
    fringe = line_colour(colour)
    end = np.array([(3, 1), (10, 0), (12, 14), (4.5, 15.2)], float)
    solid(canvas, end, colour)
    for part in (0.25, 0.5, 0.75):
        foot = end[3] + (end[2] - end[3]) * part
        canvas.line([foot + (0, -3), foot], fringe, 0.8, outline=False)
    band = [(-12.5, -4), (-6, -1.6), (0, -1), (6, -1.6), (12.5, -4), (13, 2), (7, 5), (0, 5.8), (-7, 5), (-13, 2)]
    wrap = canvas.blob(band, colour, stroke=line_colour(colour), width=0.8)
    with canvas.clip(wrap):
        for x in (-9, -3.5, 2):
            canvas.line([(x, -5), (x - 1.5, 8)], lighter(colour, 0.4), 1.8, outline=False)
    solid(canvas, ellipse_points(6.5, 2, 4, 4.2, n=24), darker(colour, 0.1))


def _bow_tie(canvas: Canvas, colour: RGB) -> None:
    wing = np.array([(0, 0), (-5, -4), (-12, -6.5), (-13, 0), (-12, 6.5), (-5, 4)], float) + (0, 2.5)
    for points in (wing, wing * (-1, 1)):
        canvas.blob(points, colour, stroke=line_colour(colour), width=0.8)
        x = float(points[:, 0].mean())
        canvas.line([(x * 0.45, 2), (x * 1.2, 0.2)], darker(colour, 0.3), 0.9, outline=False)
    canvas.rectangle(-3, -0.8, 3, 5.8, darker(colour, 0.15), 1.8, stroke=line_colour(colour), width=0.8)


_HATS: dict[str, Callable[[Canvas, RGB], None]] = {
    "top hat": _top_hat,
    "party hat": _party_hat,
    "crown": _crown,
    "flower wreath": _flower_wreath,
}
_EYEWEAR: dict[str, Callable[[Canvas, RGB, float], None]] = {"glasses": _glasses, "sunglasses": _sunglasses}
_NECKWEAR: dict[str, Callable[[Canvas, RGB], None]] = {"scarf": _scarf, "bow tie": _bow_tie}
_DEFAULT_COLOURS: dict[str, RGB] = {"crown": GOLD, "glasses": BLACK, "sunglasses": BLACK}


def draw_extra(canvas: Canvas, extra: str, colour: RGB | None, anatomy: Anatomy, rng: random.Random) -> None:
    """Draw an extra on an animal, under the same transform; colour None is its default colour."""
    colour = colour or _DEFAULT_COLOURS.get(extra, COLOURS["red"])
    scale = anatomy.head_radius / HEAD
    if extra in _HATS:
        with canvas.at(*anatomy.head_top, scale, angle=anatomy.tilt + rng.uniform(-3, 3)):
            _HATS[extra](canvas, colour)
    elif extra in _EYEWEAR:
        (x0, y0), (x1, y1) = anatomy.eyes
        gap = math.hypot(x1 - x0, y1 - y0) / 2 / scale
        with canvas.at((x0 + x1) / 2, (y0 + y1) / 2, scale, angle=anatomy.tilt):
            _EYEWEAR[extra](canvas, colour, gap)
    else:
        with canvas.at(*anatomy.neck_centre, anatomy.neck_width / 20):
            _NECKWEAR[extra](canvas, colour)
