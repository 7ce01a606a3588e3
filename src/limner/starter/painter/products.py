"""Products: twelve everyday things, each in any colour.

Local units: the origin is the centre of the ground contact and y grows downward, so a product has negative y. Products
are 45 to 68 units high or up to 80 wide.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from limner.starter.painter.canvas import RGB, Canvas, Points, darker, ellipse_points, lighter, mix

INK: RGB = (38, 40, 52)
PAPER: RGB = (246, 244, 238)
STEEL: RGB = (196, 202, 212)
GLASS: RGB = (178, 214, 236)
WARM: RGB = (255, 236, 170)


@dataclass(frozen=True, slots=True)
class Tones:
    """Shades of the main colour of a product, most of which has the colour `base`.

    glow and shine: lit parts. shade and deep: parts in shadow. edge: the thin contour. trim: a neutral contrast.
    """

    base: RGB
    glow: RGB
    shine: RGB
    shade: RGB
    deep: RGB
    edge: RGB
    trim: RGB

    @classmethod
    def of(cls, colour: RGB) -> Tones:
        brightness = sum(colour) / 3
        dark, pale = brightness < 70, brightness > 215
        return cls(
            base=colour,
            glow=lighter(colour, 0.14 if dark else 0.26),
            shine=lighter(colour, 0.38 if dark else 0.62),
            shade=darker(colour, 0.4 if dark else 0.13 if pale else 0.2),
            deep=darker(colour, 0.65 if dark else 0.26 if pale else 0.4),
            edge=lighter(colour, 0.22) if dark else darker(colour, 0.36 if pale else 0.48),
            trim=(104, 110, 126) if pale else PAPER,
        )


def _part(canvas: Canvas, points: Points, fill: RGB, tones: Tones) -> np.ndarray:
    """Draw a main part: filled, with a thin contour to be visible on any background; return its points."""
    return canvas.polygon(points, fill, stroke=tones.edge, width=0.9)


def _panel(canvas: Canvas, points: Points, fill: RGB) -> np.ndarray:
    """Draw shading or a highlight, without a contour; return its points."""
    return canvas.polygon(points, fill, outline=False)


def _tube(canvas: Canvas, points: Points, width: float, fill: RGB, tones: Tones) -> None:
    """Draw a curved bar, such as a handle, with a contour."""
    canvas.line(points, tones.edge, width + 1.8, curve=True)
    canvas.line(points, fill, width, curve=True, outline=False)


def _box(x0: float, y0: float, x1: float, y1: float, radius: float) -> np.ndarray:
    """The contour of a rectangle with round corners."""
    r = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
    quarter = ellipse_points(0, 0, r, r, n=24)[:7]
    turn = np.array([[0, 1], [-1, 0]])
    corners = []
    for cx, cy in ((x1 - r, y1 - r), (x0 + r, y1 - r), (x0 + r, y0 + r), (x1 - r, y0 + r)):
        corners.append(quarter + (cx, cy))
        quarter = quarter @ turn
    return np.concatenate(corners)


def _vessel(left: Points, bulge: float = 0.0) -> np.ndarray:
    """A symmetric contour from the points of its left side, top to bottom; `bulge` rounds the bottom."""
    side = np.asarray(left, float)
    foot_x, foot_y = side[-1]
    foot = ellipse_points(0, foot_y, abs(foot_x), bulge, n=24)[1:12][::-1] if bulge else np.empty((0, 2))
    return np.concatenate([side, foot, side[::-1] * (-1, 1)])


def _disc(canvas: Canvas, x: float, y: float, rx: float, fill: RGB, ry: float | None = None) -> np.ndarray:
    return canvas.polygon(ellipse_points(x, y, rx, ry or rx, n=24), fill, outline=False)


def _draw_mug(canvas: Canvas, tones: Tones, rng: random.Random) -> None:
    with canvas.at(-5):
        _tube(canvas, [(20, -39), (32, -39), (36, -27), (31, -15), (19, -11)], 6, tones.shade, tones)
        body = _part(canvas, _vessel([(-22, -48), (-22, -12), (-20, -5)], 5), tones.base, tones)
        with canvas.clip(body):
            _panel(canvas, [(10, -50), (24, -50), (24, 2), (6, 2), (10, -6)], tones.shade)
        _panel(canvas, _box(-18, -40, -14, -11, 2), tones.shine)
        _part(canvas, ellipse_points(0, -48, 22, 5.5), tones.glow, tones)
        canvas.ellipse(0, -47.6, 18.5, 4, tones.deep)
        _disc(canvas, 0, -46.6, 15.5, (96, 58, 38), 2.7)
        if rng.random() < 0.5:
            canvas.polygon(_heart(-2, -24, 6), tones.trim)
        for x in (-6, 5):
            sway = rng.uniform(2, 4)
            canvas.line(
                [(x, -54), (x + sway, -58), (x - sway / 2, -62), (x + sway / 2, -66)],
                PAPER,
                1.6,
                curve=True,
                alpha=0.7,
                outline=False,
            )


def _heart(x: float, y: float, size: float) -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    across = 16 * np.sin(t) ** 3
    up = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x + across * size / 16, y - up * size / 16], axis=1)


def _draw_teapot(canvas: Canvas, tones: Tones, rng: random.Random) -> None:
    _tube(canvas, [(-20, -35), (-34, -39), (-37, -26), (-31, -15), (-21, -12)], 5, tones.shade, tones)
    spout = [(16, -22), (27, -27), (31, -37), (35, -42), (39.5, -40), (37, -34), (34, -20), (20, -8)]
    _part(canvas, spout, tones.shade, tones)
    _part(canvas, _box(-14, -5, 14, 0, 2.5), tones.deep, tones)
    body = canvas.ellipse(0, -23, 26, 20.5, tones.base, stroke=tones.edge, width=0.9)
    with canvas.clip(body):
        _panel(canvas, [(27, -44), (27, 0), (-16, 0), (-14, -5), (6, -9), (15, -20), (15, -34), (10, -44)], tones.shade)
    _part(canvas, ellipse_points(0, -41, 14, 3.4), tones.deep, tones)
    _part(canvas, ellipse_points(0, -42, 12.8, 8, n=24)[12:], tones.glow, tones)
    _part(canvas, ellipse_points(0, -51.5, 4, 3.6), tones.base, tones)
    canvas.ellipse(-13, -30, 3.4, 7.5, tones.shine, angle=28, outline=False)
    _disc(canvas, -1.2, -52.6, 1.2, tones.shine)
    if rng.random() < 0.6:
        for x, y in ellipse_points(2, -20, 4, 4, n=5):
            _disc(canvas, x, y, 2.6, tones.trim)
        _disc(canvas, 2, -20, 2, tones.deep)


def _draw_sneaker(canvas: Canvas, tones: Tones, rng: random.Random) -> None:
    upper = [
        (-35, -8),
        (-36, -22),
        (-34, -36),
        (-28, -38),
        (-20, -33),
        (-12, -36),
        (-7, -41),
        (-2, -38),
        (8, -27),
        (18, -21),
        (29, -19),
        (36, -15),
        (38.5, -9),
        (34, -4),
        (0, -5),
        (-32, -4),
    ]
    body = canvas.blob(upper, tones.base, stroke=tones.edge, width=0.9)
    with canvas.clip(body):
        _panel(canvas, [(-40, -14), (-8, -11), (40, -12), (40, 0), (-40, 0)], tones.shade)
        _panel(canvas, [(-40, -40), (-27, -40), (-25, -20), (-27, -6), (-40, -6)], tones.deep)
        canvas.ellipse(36, -6, 16, 12, tones.trim, outline=False)
    canvas.polygon([(-21, -12), (-12, -12), (12, -25), (8.5, -27.5), (-11, -17)], tones.trim)
    _part(canvas, [(-2, -38), (-7, -41), (-11, -38), (6, -21), (14, -21), (16, -22)], tones.shade, tones)
    slope = rng.uniform(-0.8, 0.8)
    for step in range(4):
        x, y = -5 + step * 4.4, -37 + step * 4.1
        canvas.line([(x - 3.4, y + 2.4 + slope), (x + 3.4, y + 0.4)], tones.trim, 1.9, outline=False)
    canvas.line([(-31, -33), (-27, -35)], tones.shine, 1.6, outline=False)
    _part(canvas, _box(-38, -8.5, 40, 0, 4), PAPER, tones)
    _panel(canvas, _box(-36, -3, 38, -0.6, 1.2), (206, 206, 204))
    _panel(canvas, _box(-37, -7.4, 39, -5.8, 0.8), tones.base)


def _draw_backpack(canvas: Canvas, tones: Tones, rng: random.Random) -> None:
    _tube(canvas, [(-7, -57), (-6, -64), (0, -66), (6, -64), (7, -57)], 2.6, tones.deep, tones)
    for side in (-1, 1):
        _part(canvas, _box(min(side * 17, side * 26), -25, max(side * 17, side * 26), -2, 4), tones.deep, tones)
    body = _part(canvas, _box(-22, -61, 22, 0, 15), tones.base, tones)
    with canvas.clip(body):
        _panel(canvas, [(14, -62), (24, -62), (24, 2), (-22, 2), (-22, -3), (14, -3)], tones.shade)
    _panel(canvas, _box(-18, -52, -15.4, -34, 1.3), tones.shine)
    canvas.line([(-17, -32), (-12, -47), (0, -52), (12, -47), (17, -32)], tones.deep, 1.3, curve=True)
    _part(canvas, _box(-16, -27, 16, -4, 5), tones.glow, tones)
    _panel(canvas, _box(-15.2, -13, 15.2, -4.8, 4), tones.base)
    canvas.line([(-13, -21), (13, -21)], tones.deep, 1.3, outline=False)
    pull = rng.uniform(-9, 9)
    _panel(canvas, _box(pull - 1.1, -21.5, pull + 1.1, -16, 1), tones.trim)
    canvas.rectangle(-6, -43, 6, -35, tones.trim, radius=1.5)
    _panel(canvas, [(-3.5, -37), (0, -41.5), (3.5, -37)], tones.deep)


def _draw_wheel(canvas: Canvas, x: float, tones: Tones) -> None:
    canvas.ellipse(x, -8, 8.4, 8.4, INK, stroke=(84, 88, 100), width=0.8)
    _disc(canvas, x, -8, 4.8, STEEL)
    _disc(canvas, x, -8, 2, tones.deep)


def _draw_car(canvas: Canvas, tones: Tones, rng: random.Random) -> None:
    pane = mix(GLASS, INK, 0.05)
    cabin = [(-27, -26), (-19, -40), (-15, -42), (7, -42), (11, -40), (22, -26)]
    _part(canvas, cabin, tones.glow, tones)
    canvas.polygon([(-22, -26), (-15.5, -38.4), (-4, -38.4), (-4, -26)], pane)
    canvas.polygon([(-1, -26), (-1, -38.4), (7.5, -38.4), (16.5, -26)], pane)
    for x in (-14, 4):
        _panel(canvas, [(x, -38.4), (x + 3.5, -38.4), (x - 2.5, -26), (x - 5.5, -26)], lighter(pane, 0.5))
    hull = [
        (-39, -12),
        (-38, -24),
        (-34, -27),
        (22, -27),
        (33, -24.5),
        (38, -21),
        (40, -15),
        (39, -7),
        (-38, -7),
    ]
    body = _part(canvas, hull, tones.base, tones)
    with canvas.clip(body):
        _panel(canvas, [(-42, -14), (42, -14), (42, 0), (-42, 0)], tones.shade)
    _panel(canvas, [(-34, -25.6), (21, -25.6), (30, -23.6), (-36, -23.6)], tones.shine)
    canvas.line([(-2.5, -26), (-2.5, -9)], tones.deep, 0.8, outline=False)
    for x in (-8, 9):
        _panel(canvas, _box(x - 3, -21, x + 3, -19.4, 0.8), tones.edge)
    canvas.ellipse(36.4, -18.4, 2.6, 3.2, WARM, stroke=tones.edge, width=0.6)
    canvas.rectangle(-39, -22, -36, -16, (226, 60, 50), radius=1)
    for x in (-22.0, 22.0):
        _disc(canvas, x, -8.5, 10.2, tones.deep)
        _draw_wheel(canvas, x, tones)
    if rng.random() < 0.35:
        canvas.rectangle(-17, -45, 9, -43, STEEL, radius=1)


def _draw_phone(canvas: Canvas, tones: Tones, rng: random.Random) -> None:
    with canvas.at(angle=rng.uniform(-5, 5)):
        for y in (-48, -40):
            _panel(canvas, _box(16, y, 18.6, y + 6, 1), tones.edge)
        _part(canvas, _box(-17.5, -66, 17.5, 0, 6), tones.base, tones)
        screen = canvas.polygon(_box(-14, -62.5, 14, -3.5, 3.5), tones.deep)
        with canvas.clip(screen):
            _panel(canvas, [(-15, -30), (-4, -42), (15, -24), (15, 0), (-15, 0)], tones.shade)
            _panel(canvas, [(-15, -16), (8, -30), (15, -26), (15, 0), (-15, 0)], tones.glow)
        _panel(canvas, _box(-5, -61, 5, -58, 1.5), INK)
        _panel(canvas, _box(-8.5, -53, -1.2, -49, 0.6), PAPER)
        _panel(canvas, _box(1.2, -53, 8.5, -49, 0.6), PAPER)
        _panel(canvas, _box(-6, -46.4, 6, -45, 0.7), tones.shine)
        icons = [PAPER, (255, 196, 66), (92, 200, 132), (94, 160, 246)]
        rng.shuffle(icons)
        for k, icon in enumerate(icons):
            x = -11.6 + k * 6.1
            _panel(canvas, _box(x, -12, x + 4.9, -7.1, 1.3), icon)
        canvas.line([(-15.8, -58), (-15.8, -34)], tones.shine, 1, outline=False)


def _draw_watch(canvas: Canvas, tones: Tones, rng: random.Random) -> None:
    face = (52, 56, 70) if tones.trim != PAPER else PAPER
    marks = PAPER if face != PAPER else INK
    _part(canvas, _box(-9, -66, 9, -40, 3), tones.base, tones)
    _part(canvas, [(-11, -26), (11, -26), (8.5, -2), (6, 0), (-6, 0), (-8.5, -2)], tones.base, tones)
    _panel(canvas, [(4, -65), (7, -65), (8.2, -63), (8.2, -42), (4, -42)], tones.shade)
    _panel(canvas, [(4, -24), (10, -24), (7.8, -2), (4, -1)], tones.shade)
    for y in (-4.5, -8.5, -12.5):
        _disc(canvas, 0, y, 1, tones.deep)
    canvas.rectangle(-8.5, -62, 8.5, -59.5, tones.deep, outline=False)
    canvas.rectangle(17, -36, 21.5, -30, STEEL, radius=1.2, stroke=tones.edge, width=0.6)
    canvas.ellipse(0, -33, 19, 19, tones.base, stroke=tones.edge, width=0.9)
    _panel(canvas, ellipse_points(0, -33, 17.4, 17.4)[2:16], tones.shade)
    canvas.ellipse(0, -33, 14.5, 14.5, face, stroke=tones.edge, width=0.8)
    for x, y in ellipse_points(0, -33, 12, 12, n=12):
        _disc(canvas, x, y, 0.9, marks)
    hour, minute = rng.randrange(12), rng.randrange(12)
    for step, reach, width in ((hour, 6.5, 1.8), (minute, 10, 1.3)):
        tip = ellipse_points(0, -33, reach, reach, n=12)[step]
        canvas.line([(0, -33), tuple(tip)], marks, width, outline=False)
    _disc(canvas, 0, -33, 1.5, (226, 84, 70))


def _draw_bottle(canvas: Canvas, tones: Tones, rng: random.Random) -> None:
    side = [(-5, -58), (-5, -47), (-7, -42), (-13, -36), (-15, -30), (-15, -5), (-13, -1.5)]
    body = _part(canvas, _vessel(side, 2), tones.base, tones)
    with canvas.clip(body):
        _panel(canvas, [(1.5, -60), (6, -60), (16, -36), (16, 2), (8, 2), (8, -32), (2, -42)], tones.shade)
    canvas.polygon([(-15, -27), (15, -27), (15, -10), (-15, -10)], tones.trim)
    _panel(canvas, [(8, -27), (15, -27), (15, -10), (8, -10)], darker(tones.trim, 0.14))
    if rng.random() < 0.5:
        _panel(canvas, [(-3.5, -18), (0, -24.5), (3.5, -18)], tones.base)
        _disc(canvas, 0, -17, 3.6, tones.base)
    else:
        for y, reach in ((-23, 8), (-19, 5), (-15, 7)):
            _panel(canvas, _box(-reach, y, reach, y + 1.8, 0.9), tones.base)
    canvas.line([(-11.6, -33), (-11.6, -29.5)], tones.shine, 2.2, outline=False)
    canvas.line([(-11.6, -8), (-11.6, -4.5)], tones.shine, 2.2, outline=False)
    canvas.line([(-2.4, -54), (-2.4, -46)], tones.shine, 1.6, outline=False)
    _part(canvas, _box(-6.5, -65, 6.5, -57, 1.6), tones.deep, tones)
    _panel(canvas, _box(-4.8, -63.8, -2.8, -58.4, 0.8), tones.glow)


def _draw_chair(canvas: Canvas, tones: Tones, rng: random.Random) -> None:
    for x, lean in ((-15, -1), (15, 1)):
        _part(canvas, [(x - 1.8, -26), (x + 1.8, -26), (x + 1.4 + lean, -5), (x - 1.4 + lean, -5)], tones.deep, tones)
        _part(canvas, [(x - 1.8, -60), (x + 1.8, -60), (x + 1.8, -26), (x - 1.8, -26)], tones.shade, tones)
    _part(canvas, _box(-19, -66, 19, -53, 4), tones.base, tones)
    _panel(canvas, _box(-16, -64, 8, -62, 1), tones.shine)
    slats = rng.choice((2, 3, 4))
    for k in range(slats):
        x = -10 + 20 * k / (slats - 1)
        _part(canvas, _box(x - 1.9, -53.5, x + 1.9, -27, 0.5), tones.base, tones)
    _part(canvas, [(-17, -32), (17, -32), (23, -23), (-23, -23)], tones.glow, tones)
    canvas.line([(-16, -10), (16, -10)], tones.deep, 1.8)
    for x, lean in ((-19, -1.5), (19, 1.5)):
        _part(canvas, [(x - 2.4, -20), (x + 2.4, -20), (x + 1.8 + lean, 0), (x - 1.8 + lean, 0)], tones.base, tones)
        _panel(canvas, [(x + 0.4, -18), (x + 2.2, -18), (x + 1.6 + lean, -0.4), (x + 0.2 + lean, -0.4)], tones.shade)
    _part(canvas, _box(-23.5, -24, 23.5, -18, 2), tones.base, tones)
    _panel(canvas, _box(-22.5, -20.6, 22.5, -18.6, 1), tones.shade)


def _draw_lamp(canvas: Canvas, tones: Tones, rng: random.Random) -> None:
    canvas.polygon([(-20, -32), (20, -32), (34, 0), (-34, 0)], WARM, alpha=0.25, outline=False)
    _part(canvas, _box(-14, -5, 14, 0, 2.5), tones.shade, tones)
    foot = _part(canvas, _vessel([(-2.5, -34), (-2.5, -26), (-8, -20), (-11, -13), (-8, -5)]), tones.base, tones)
    with canvas.clip(foot):
        _panel(canvas, [(2, -35), (12, -35), (12, -4), (2, -4), (5, -12)], tones.shade)
    canvas.ellipse(-5.5, -14.5, 1.6, 3.6, tones.shine, angle=15, outline=False)
    _disc(canvas, 0, -31, 6, (255, 246, 206), 4.5)
    swing = rng.choice((-11, 11))
    canvas.line([(swing, -32), (swing, -24)], tones.edge, 0.8, outline=False)
    _disc(canvas, swing, -23, 1.5, tones.edge)
    _part(canvas, [(-13, -64), (13, -64), (25, -33), (-25, -33)], tones.base, tones)
    _panel(canvas, [(5, -63.4), (12.6, -63.4), (24, -36), (13, -36)], tones.shade)
    _panel(canvas, [(-8, -63.4), (-4, -63.4), (-10, -36), (-17, -36)], tones.glow)
    _panel(canvas, [(-23.8, -36), (23.8, -36), (24.8, -33.4), (-24.8, -33.4)], tones.deep)
    _panel(canvas, [(-13, -64), (13, -64), (13.8, -62), (-13.8, -62)], tones.deep)


def _draw_headphones(canvas: Canvas, tones: Tones, rng: random.Random) -> None:
    with canvas.at(angle=rng.uniform(-4, 4)):
        band = [(-25, -26), (-25, -42), (-17, -56), (0, -62), (17, -56), (25, -42), (25, -26)]
        _tube(canvas, band, 6.5, tones.base, tones)
        inner = [(-20.5, -41), (-14, -52), (0, -57.6), (14, -52), (20.5, -41)]
        canvas.line(inner, tones.deep, 2.6, curve=True, outline=False)
        canvas.line([(-22, -52), (-13, -60), (0, -63.2)], tones.shine, 1.5, curve=True, outline=False)
        for side in (-1, 1):
            with canvas.at(side * 25, -17, flip=side > 0, angle=4 * side):
                canvas.rectangle(-2.2, -23, 2.2, -12, STEEL, radius=1, stroke=tones.edge, width=0.6)
                _part(canvas, _box(3, -14, 11.5, 14, 4.2), (70, 74, 88), tones)
                cup = _part(canvas, _box(-10, -17, 5, 17, 7.5), tones.base, tones)
                with canvas.clip(cup):
                    _panel(canvas, [(-0.5, -18), (6, -18), (6, 18), (-8, 18), (-4, 12), (-0.5, 6)], tones.shade)
                _panel(canvas, _box(-7.4, -9, -5.2, 4, 1.1), tones.shine)


def _draw_guitar(canvas: Canvas, tones: Tones, rng: random.Random) -> None:
    wood, fret = (92, 60, 44), (206, 190, 160)
    with canvas.at(0, -1, angle=rng.uniform(-4, 16)):
        outline = [
            (0, -33),
            (-7, -34),
            (-12, -30),
            (-12, -25),
            (-10.5, -21),
            (-14, -16),
            (-17, -9),
            (-13, -1.5),
            (0, 1),
            (13, -1.5),
            (17, -9),
            (14, -16),
            (10.5, -21),
            (12, -25),
            (12, -30),
            (7, -34),
        ]
        body = canvas.blob(outline, tones.base, stroke=tones.edge, width=1.2)
        hollow = [(6, -36), (18, -36), (18, 4), (-12, 4), (-6, -2), (8, -5), (11, -12), (6, -21)]
        with canvas.clip(body):
            _panel(canvas, hollow, tones.shade)
        canvas.line([(-13.4, -10), (-11.5, -15), (-8.4, -19)], tones.shine, 1.7, curve=True, outline=False)
        canvas.ellipse(0, -21, 5.6, 5.6, tones.trim)
        _disc(canvas, 0, -21, 4.3, INK)
        _part(canvas, _box(-2.8, -57, 2.8, -25, 0.5), wood, tones)
        for y in (-52, -47, -42, -37, -32):
            canvas.line([(-2.2, y), (2.2, y)], fret, 0.7, outline=False)
        _part(canvas, [(-2.9, -56.5), (-5, -67), (5, -67), (2.9, -56.5)], tones.deep, tones)
        for y in (-64.5, -60.5):
            for x in (-5.6, 5.6):
                _disc(canvas, x, y, 1.4, STEEL)
        for x in (-1.1, 0, 1.1):
            canvas.line([(x, -60), (x, -7.5)], (232, 232, 226), 0.35, outline=False)
        canvas.rectangle(-7, -9, 7, -5.8, wood, radius=1)


PRODUCT_PAINTERS: dict[str, Callable[[Canvas, Tones, random.Random], None]] = {
    "mug": _draw_mug,
    "teapot": _draw_teapot,
    "sneaker": _draw_sneaker,
    "backpack": _draw_backpack,
    "car": _draw_car,
    "phone": _draw_phone,
    "watch": _draw_watch,
    "bottle": _draw_bottle,
    "chair": _draw_chair,
    "lamp": _draw_lamp,
    "headphones": _draw_headphones,
    "guitar": _draw_guitar,
}


def draw_product(canvas: Canvas, product: str, colour: RGB, rng: random.Random) -> None:
    """Draw a product in local units. colour: its main colour. rng: decides small details."""
    PRODUCT_PAINTERS[product](canvas, Tones.of(colour), rng)
