"""Backgrounds in picture units: eight places and a studio, under each light, with weather and shadow.

The subject stands in the middle with its feet at y 98 to 116, so ground lies below y 90 everywhere and
tall scenery keeps to the sides.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .canvas import SIZE, Canvas, Gradient, Points, darker, ellipse_points, lighter, mix, smooth
from .vocabulary import RGB, STUDIO

WHITE: RGB = (255, 255, 255)
LAMPLIGHT: RGB = (255, 220, 130)
BARK: RGB = (122, 84, 60)
LEAF: RGB = (86, 164, 92)
PINE: RGB = (52, 118, 96)


@dataclass(frozen=True, slots=True)
class Mood:
    """What a light does to a place: sky colours, and how far every surface is tinted (0 to 1)."""

    top: RGB
    bottom: RGB
    tint: RGB
    strength: float
    cloud: RGB
    dark: bool

    def shade(self, colour: RGB, haze: float = 0.0) -> RGB:
        """A surface colour in this light; haze from 0 (near) to 1 (lost in the sky)."""
        return mix(mix(colour, self.tint, self.strength), self.bottom, haze)

    def indoors(self, colour: RGB) -> RGB:
        """A surface colour inside a room, where lamps soften the light of the hour."""
        return mix(colour, self.tint, self.strength * 0.6)

    def window(self, rng: random.Random, wall: RGB) -> RGB:
        """A pane: lit after dark, mostly reflecting the sky by day."""
        if self.dark:
            return LAMPLIGHT if rng.random() < 0.6 else darker(wall, 0.3)
        return mix(wall, self.top, 0.55)


MOODS: dict[str, Mood] = {
    "day": Mood((92, 178, 240), (212, 238, 252), WHITE, 0.0, WHITE, False),
    "sunset": Mood((122, 92, 168), (255, 186, 122), (236, 112, 84), 0.24, (255, 206, 176), False),
    "night": Mood((18, 24, 66), (66, 80, 142), (36, 46, 104), 0.56, (70, 84, 140), True),
}


def _patch(canvas: Canvas, points: Points, fill: RGB) -> None:
    """Texture or shading, without a contour."""
    canvas.polygon(points, fill, outline=False)


def _dot(canvas: Canvas, x: float, y: float, rx: float, fill: RGB, ry: float | None = None) -> None:
    _patch(canvas, ellipse_points(x, y, rx, ry or rx, n=12), fill)


def _side(rng: random.Random, inner: float = 26, outer: float = 4) -> float:
    """An x near the left or the right border, clear of the subject."""
    x = rng.uniform(outer, inner)
    return x if rng.random() < 0.5 else SIZE - x


def _both_sides(rng: random.Random, count: int, inner: float = 30, outer: float = 0) -> list[float]:
    """`count` x positions that alternate between the left and the right border."""
    flip = rng.randrange(2)
    spots = [rng.uniform(outer, inner) for _ in range(count)]
    return [x if (k + flip) % 2 else SIZE - x for k, x in enumerate(spots)]


def _sky(
    canvas: Canvas,
    mood: Mood,
    light: str,
    rng: random.Random,
    horizon: float,
    *,
    clouds: int = 3,
    sun_x: float = 24,
    lift: float = 0,
) -> None:
    """Sky down to y = horizon with a sun, or a moon and stars, and clouds beside it.

    sun_x: how far the sun or moon keeps from a border; lift: how far above the horizon scenery needs a low sun.
    """
    canvas.rectangle(0, 0, SIZE, horizon + 6, Gradient(mood.top, mood.bottom), outline=False)
    x = _side(rng, sun_x + 7, sun_x - 7)
    if light == "night":
        for _ in range(rng.randint(16, 24)):
            r = rng.choice((0.4, 0.5, 0.8))
            sx, sy = rng.uniform(0, SIZE), rng.uniform(0, horizon * 0.8)
            _patch(canvas, [(sx - r, sy), (sx, sy - r), (sx + r, sy), (sx, sy + r)], (250, 246, 220))
        _moon(canvas, x, rng.uniform(16, 26), rng.uniform(7, 8.5))
    else:
        low = light == "sunset"
        y, r = (horizon - lift - rng.uniform(10, 20), 11.0) if low else (rng.uniform(16, 26), 9.0)
        glow, disc = ((255, 200, 120), (255, 240, 180)) if low else ((255, 248, 206), (255, 220, 92))
        canvas.polygon(ellipse_points(x, y, r * 1.6, r * 1.6, n=24), glow, alpha=0.4, outline=False)
        canvas.ellipse(x, y, r, r, disc)
    for _ in range(rng.randint(max(0, clouds - 1), clouds)):
        away = rng.uniform(32, 112)
        _cloud(canvas, x + away if x < SIZE / 2 else x - away, rng.uniform(8, 34), rng.uniform(0.6, 1.1), mood)


def _moon(canvas: Canvas, x: float, y: float, r: float) -> None:
    """A crescent."""
    t = np.linspace(math.radians(60), math.radians(300), 20)
    outer = np.stack([x + r * np.cos(t), y + r * np.sin(t)], axis=1)
    (x0, y0), (x1, y1) = outer[-1], outer[0]
    u = np.linspace(0, 1, 14)[1:-1]
    bend = np.sin(np.pi * u) * r * 0.95
    inner = np.stack([x0 + (x1 - x0) * u - bend, y0 + (y1 - y0) * u], axis=1)
    canvas.polygon(np.concatenate([outer, inner]), (252, 242, 200))


def _cloud(canvas: Canvas, x: float, y: float, size: float, mood: Mood) -> None:
    with canvas.at(x, y, size):
        puffs = [(-15, 3), (-13, -2), (-7, -2.5), (-4, -7.5), (3, -8), (7, -4), (12, -4), (16, 0), (15, 3)]
        canvas.blob(puffs, mix(mood.cloud, mood.bottom, 0.15), outline=False)


def _ridge(
    canvas: Canvas, rng: random.Random, y: float, height: float, bumps: int, fill: RGB, outline: bool = True
) -> np.ndarray:
    """Rolling ground from y - height to y + height along the top, filled down to the border."""
    xs = np.linspace(-12, SIZE + 12, bumps)
    ys = [y + rng.uniform(-height, height) for _ in xs]
    top = smooth(np.stack([xs, ys], axis=1), closed=False, steps=6)
    return canvas.polygon([*top.tolist(), (SIZE + 12, SIZE + 4), (-12, SIZE + 4)], fill, outline=outline)


def _tufts(canvas: Canvas, rng: random.Random, fill: RGB, count: int, top: float = 94) -> None:
    for _ in range(count):
        x, y = rng.uniform(2, 126), rng.uniform(top, 126)
        _patch(
            canvas,
            [
                (x - 2.4, y - 3),
                (x - 0.8, y - 1.4),
                (x, y - 4.4),
                (x + 0.9, y - 1.4),
                (x + 2.4, y - 3),
                (x + 1.2, y),
                (x - 1.2, y),
            ],
            fill,
        )


def _tree(canvas: Canvas, x: float, y: float, size: float, leaf: RGB, bark: RGB) -> None:
    """A round broad-leaved tree, about 40 * size high, its foot at (x, y)."""
    with canvas.at(x, y, size):
        canvas.polygon([(-2.6, 0), (-1.6, -20), (1.6, -20), (2.6, 0)], bark)
        canvas.blob([(-13, -17), (-16, -25), (-10, -35), (0, -40), (10, -36), (15, -26), (12, -17), (0, -14)], leaf)
        canvas.blob(
            [(-11, -25), (-7, -34), (0, -37), (5, -34), (0, -28), (-6, -22)], lighter(leaf, 0.16), outline=False
        )


def _fir(canvas: Canvas, x: float, y: float, size: float, leaf: RGB, bark: RGB, snow: RGB | None = None) -> None:
    """A fir of three tiers, about 40 * size high, with snow on the tiers where given."""
    with canvas.at(x, y, size):
        canvas.rectangle(-2, -8, 2, 0, bark)
        canvas.polygon(
            [
                (0, -40),
                (7, -28),
                (4, -28),
                (10, -17),
                (6, -17),
                (13, -5),
                (-13, -5),
                (-6, -17),
                (-10, -17),
                (-4, -28),
                (-7, -28),
            ],
            leaf,
        )
        if snow is None:
            _patch(canvas, [(0, -40), (7, -28), (4, -28), (10, -17), (6, -17), (13, -5), (4, -5)], darker(leaf, 0.16))
        else:
            for tip, reach in ((-40, 5), (-28, 6), (-17, 8)):
                low = tip + reach * 1.5
                _patch(
                    canvas,
                    [
                        (0, tip),
                        (reach, low),
                        (reach * 0.4, low - 2),
                        (0, low + 1),
                        (-reach * 0.5, low - 2),
                        (-reach, low),
                    ],
                    snow,
                )


def _draw_beach(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    horizon = rng.uniform(54, 62)
    _sky(canvas, mood, light, rng, horizon)
    sea, sand = mood.shade((44, 152, 206)), mood.shade((244, 216, 158))
    canvas.rectangle(-2, horizon, SIZE + 2, 100, sea)
    canvas.rectangle(-2, horizon, SIZE + 2, horizon + 6, mix(sea, mood.bottom, 0.25), outline=False)
    canvas.rectangle(-2, horizon + 16, SIZE + 2, 100, mix(sea, (84, 214, 210), 0.4), outline=False)
    for _ in range(9):
        x, y, w = rng.uniform(0, 120), rng.uniform(horizon + 3, 80), rng.uniform(5, 12)
        canvas.rectangle(x, y, x + w, y + 0.8, lighter(sea, 0.35), outline=False)
    if rng.random() < 0.6:
        _sailboat(canvas, _side(rng, 40, 16), horizon + 3, mood, rng)
    state = rng.getstate()
    _ridge(canvas, rng, 83, 2, 7, lighter(sea, 0.75), outline=False)
    rng.setstate(state)
    _ridge(canvas, rng, 85.5, 2, 7, sand)
    _ridge(canvas, rng, 106, 3, 5, lighter(sand, 0.14), outline=False)
    for _ in range(8):
        _dot(canvas, rng.uniform(2, 126), rng.uniform(92, 126), 0.7, darker(sand, 0.16))
    sides = [False, True]
    rng.shuffle(sides)
    for flip in sides[: rng.choice((1, 1, 2))]:
        x = rng.uniform(6, 14)
        _palm(canvas, SIZE - x if flip else x, rng.uniform(91, 97), rng.uniform(0.85, 1.05), flip, mood)
    if rng.random() < 0.55:
        _parasol(canvas, rng.uniform(106, 116) if sides[0] is False else rng.uniform(12, 22), 100, mood, rng)
    _starfish(canvas, _side(rng, 30, 8), rng.uniform(114, 122), mood.shade((236, 112, 92)))


def _sailboat(canvas: Canvas, x: float, y: float, mood: Mood, rng: random.Random) -> None:
    with canvas.at(x, y, rng.uniform(0.7, 1)):
        canvas.polygon([(-7, -2), (7, -2), (4.5, 2), (-4.5, 2)], mood.shade((196, 84, 70)))
        canvas.polygon([(0.4, -15), (6.5, -3), (0.4, -3)], mood.shade(WHITE))
        canvas.polygon([(-0.6, -13), (-5.5, -3), (-0.6, -3)], mood.shade((238, 226, 206)))


def _palm(canvas: Canvas, x: float, y: float, size: float, flip: bool, mood: Mood) -> None:
    bark, leaf = mood.shade((166, 116, 76)), mood.shade((58, 152, 84))
    with canvas.at(x, y, size, flip=flip):
        trunk = smooth([(-2.6, 0), (-1.6, -20), (3, -38), (8, -52)], closed=False)
        back = smooth([(11, -51), (6.5, -37), (2.4, -20), (2.8, 0)], closed=False)
        canvas.polygon(np.concatenate([trunk, back]), bark)
        for k in range(1, 6):
            canvas.line([trunk[k * 4] + (0.6, 0), back[-k * 4] - (0.6, 0)], darker(bark, 0.22), 0.9, outline=False)
        tips = ((-20, -46), (-15, -62), (2, -70), (24, -66), (33, -50), (-11, -36), (24, -38))
        for k, (tip_x, tip_y) in enumerate(tips):
            rise = (9.5 + tip_x) / 2, (-52 + tip_y) / 2
            canvas.blob(
                [(9.5, -52), (rise[0], rise[1] - 6), (tip_x, tip_y), (rise[0] + 1, rise[1] - 1)],
                lighter(leaf, 0.12) if k % 2 else leaf,
            )
        for dx in (-2, 2):
            _dot(canvas, 9.5 + dx, -50.4, 2.3, darker(bark, 0.35))


def _parasol(canvas: Canvas, x: float, y: float, mood: Mood, rng: random.Random) -> None:
    cloth = mood.shade(rng.choice(((228, 82, 78), (70, 144, 214), (244, 178, 64))))
    with canvas.at(x, y, 0.85, angle=rng.uniform(-10, 10)):
        canvas.line([(0, 0), (0, -32)], mood.shade((238, 232, 220)), 1.6)
        dome = smooth([(-19, -25), (-13, -35), (0, -40), (13, -35), (19, -25)], closed=False)
        canvas.polygon(dome, cloth)
        for x0, x1 in ((-12, -4.5), (4.5, 12)):
            _patch(canvas, [(0, -40), (x1, -25), (x0, -25)], mood.shade((250, 244, 232)))


def _starfish(canvas: Canvas, x: float, y: float, fill: RGB) -> None:
    outer, inner = ellipse_points(x, y, 4.2, 3.4, n=10)[::2], ellipse_points(x, y, 1.8, 1.5, n=10)[1::2]
    canvas.polygon(np.stack([outer, inner], axis=1).reshape(-1, 2), fill)


def _draw_park(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    _sky(canvas, mood, light, rng, 78)
    grass, bark = mood.shade((122, 196, 92)), mood.shade(BARK)
    _ridge(canvas, rng, 68, 6, 6, mood.shade((110, 184, 130), 0.45))
    for x in np.arange(-4, 136, 15):
        leaf = mood.shade(mix(LEAF, (70, 150, 120), rng.random()), 0.28)
        canvas.ellipse(x + rng.uniform(-4, 4), 75, rng.uniform(6, 9), rng.uniform(7, 10), leaf, outline=False)
    _ridge(canvas, rng, 80, 1.5, 5, grass)
    bend = rng.uniform(-18, 18)
    path = [(62 + bend, 80), (68 + bend, 80), (78, 96), (108, 132), (18, 132), (52, 96)]
    canvas.polygon(smooth(path, steps=4), mood.shade((232, 212, 168)), outline=False)
    for x in _both_sides(rng, rng.randint(2, 3), 20, 4):
        leaf = mood.shade(mix(LEAF, (142, 186, 76), rng.random()))
        canvas.ellipse(x, 91.5, 14, 2.6, darker(grass, 0.16), outline=False)
        _tree(canvas, x, 92, rng.uniform(1, 1.35), leaf, bark)
    if rng.random() < 0.5:
        _bench(canvas, _side(rng, 26, 20), 98, mood)
    else:
        _street_lamp(canvas, _side(rng, 32, 26), 96, mood)
    _tufts(canvas, rng, darker(grass, 0.18), 7)
    for _ in range(8):
        x, y = _side(rng, 40, 2), rng.uniform(96, 126)
        _dot(canvas, x, y, 1.5, mood.shade(rng.choice((WHITE, (250, 206, 80), (240, 132, 160)))))
        _dot(canvas, x, y, 0.6, mood.shade((240, 170, 50)))


def _bench(canvas: Canvas, x: float, y: float, mood: Mood) -> None:
    wood, iron = mood.shade((176, 112, 68)), mood.shade((70, 74, 88))
    with canvas.at(x, y):
        for leg in (-10, 10):
            canvas.line([(leg, -14), (leg, 0)], iron, 1.6)
        for top, bottom in ((-16, -13.6), (-12.6, -10.2), (-7.4, -4.6)):
            canvas.rectangle(-13, top, 13, bottom, wood, radius=0.8)


def _street_lamp(canvas: Canvas, x: float, y: float, mood: Mood) -> None:
    """A lamp post, 46 high; it shines after dark."""
    iron = mood.shade((66, 72, 88))
    if mood.dark:
        canvas.polygon(ellipse_points(x, y - 42, 11, 11, n=20), LAMPLIGHT, alpha=0.25, outline=False)
    canvas.rectangle(x - 0.9, y - 38, x + 0.9, y, iron)
    canvas.rectangle(x - 2.4, y - 2, x + 2.4, y, iron)
    canvas.polygon(
        [(x - 3, y - 46), (x + 3, y - 46), (x + 2, y - 38), (x - 2, y - 38)],
        (255, 236, 170) if mood.dark else mood.shade((240, 240, 226)),
    )
    _patch(canvas, [(x - 3.8, y - 46), (x, y - 49.5), (x + 3.8, y - 46)], iron)


def _draw_city(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    _sky(canvas, mood, light, rng, 84, clouds=2, sun_x=44, lift=40)
    x = -4.0
    while x < SIZE:
        w = rng.uniform(9, 17)
        canvas.rectangle(x, rng.uniform(34, 58), x + w, 90, mood.shade((138, 158, 190), 0.5), outline=False)
        x += w
    walls = [(206, 126, 104), (232, 194, 142), (116, 142, 178), (172, 158, 186), (124, 172, 168)]
    rng.shuffle(walls)
    spans = ((14, 18), (34, 40), (58, 70), (90, 96), (110, 116), (134, 134))
    rises = ((14, 30), (38, 46), (54, 60), (50, 60), (38, 46), (12, 28))
    left = -6.0
    for k, (span, rise) in enumerate(zip(spans, rises, strict=True)):
        right, top = rng.uniform(*span), rng.uniform(*rise)
        _building(canvas, left, right, top, mood.shade(walls[k % 5], 0.08), mood, rng)
        left = right
    pavement, road = mood.shade((196, 198, 206)), mood.shade((112, 116, 130))
    canvas.rectangle(-2, 86, SIZE + 2, 132, pavement)
    canvas.rectangle(-2, 92, SIZE + 2, 93.4, darker(pavement, 0.22), outline=False)
    canvas.rectangle(-2, 93.4, SIZE + 2, 132, road)
    shift = rng.uniform(0, 26)
    for k in range(-1, 5):
        x = k * 30 + shift
        _patch(canvas, [(x, 120), (x + 16, 120), (x + 15, 123), (x - 2, 123)], mood.shade((244, 236, 206)))
    _street_lamp(canvas, _side(rng, 26, 12), 92, mood)
    for x in _both_sides(rng, rng.randint(1, 2), 34, 24):
        _tree(canvas, x, 91, 0.5, mood.shade(LEAF), mood.shade(BARK))


def _building(canvas: Canvas, x0: float, x1: float, top: float, wall: RGB, mood: Mood, rng: random.Random) -> None:
    canvas.rectangle(x0, top, x1, 90, wall)
    canvas.rectangle(x1 - 2.5, top, x1, 90, darker(wall, 0.16), outline=False)
    canvas.rectangle(x0 - 0.8, top - 1.6, x1 + 0.8, top + 0.6, darker(wall, 0.22), outline=False)
    columns = max(2, round((x1 - x0) / 8))
    gap = (x1 - x0 - 3) / columns
    for row in np.arange(top + 5, 80, 10.5):
        for k in range(columns):
            x = x0 + 0.6 + gap * (k + 0.5)
            _patch(
                canvas,
                [(x - 1.6, row), (x + 1.6, row), (x + 1.6, row + 4.6), (x - 1.6, row + 4.6)],
                mood.window(rng, wall),
            )


def _draw_living_room(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
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
            _moon(canvas, x + 6, 24, 5)
            for dx, dy in ((-10, 18), (-6, 30), (3, 36), (-9, 42), (-2, 19)):
                _dot(canvas, x + dx, dy, 0.6, WHITE)
        else:
            low = light == "sunset"
            _dot(canvas, x + 6, 38 if low else 23, 5.5, (255, 236, 170) if low else (255, 220, 92))
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
        _dot(canvas, x + rng.uniform(-4, 4), y - 1, 4, mix(wall, (232, 110, 76), 0.75))
        _dot(canvas, x - 5, y + 9, 9, mix(wall, (84, 130, 128), 0.7), 6)
        _dot(canvas, x + 6, y + 10, 9, mix(wall, (52, 92, 112), 0.7), 6)


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


def _draw_snow(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    pale = Mood(
        mix(mood.top, WHITE, 0.18), mix(mood.bottom, WHITE, 0.2), mood.tint, mood.strength * 0.72, mood.cloud, mood.dark
    )
    _sky(canvas, pale, light, rng, 74, lift=12)
    snow = pale.shade((246, 250, 255))
    leaf, bark = pale.shade((66, 128, 122)), pale.shade(BARK)
    _ridge(canvas, rng, 60, 7, 5, mix(snow, pale.top, 0.36))
    for x in rng.sample(range(0, 128, 8), 8):
        _patch(canvas, [(x, 58), (x + 4.5, 76), (x - 4.5, 76)], mix(leaf, pale.bottom, 0.5))
    _ridge(canvas, rng, 71, 4, 5, mix(snow, pale.top, 0.2))
    cabin = rng.random() < 0.45
    if cabin:
        _cabin(canvas, _side(rng, 30, 20), 84, pale, snow)
    for x in _both_sides(rng, rng.randint(2, 3), 32, 4):
        _fir(canvas, x, 85, rng.uniform(0.55, 0.75), mix(leaf, pale.bottom, 0.14), bark, snow)
    _ridge(canvas, rng, 84, 2.5, 5, snow)
    for x in _both_sides(rng, 2, 14, 2):
        _fir(canvas, x, rng.uniform(94, 100), rng.uniform(1.1, 1.45), leaf, bark, snow)
    if not cabin:
        _snowman(canvas, _side(rng, 30, 24), 96, pale)
    _ridge(canvas, rng, 104, 3, 5, mix(snow, WHITE, 0.4), outline=False)
    for _ in range(5):
        x, y = rng.uniform(0, 120), rng.uniform(108, 125)
        _dot(canvas, x, y, rng.uniform(4, 9), mix(snow, pale.top, 0.14), 0.8)


def _cabin(canvas: Canvas, x: float, y: float, mood: Mood, snow: RGB) -> None:
    wall = mood.shade((158, 98, 66))
    with canvas.at(x, y):
        canvas.rectangle(6, -29, 10, -18, darker(wall, 0.2))
        canvas.rectangle(-13, -15, 13, 1, wall)
        canvas.polygon([(-17, -13), (0, -28), (17, -13)], snow)
        _patch(canvas, [(-13, -13), (0, -24), (13, -13)], darker(wall, 0.15))
        canvas.rectangle(-9, -11, -3, -5, LAMPLIGHT)
        canvas.rectangle(3, -11, 9, 1, darker(wall, 0.35))


def _snowman(canvas: Canvas, x: float, y: float, mood: Mood) -> None:
    body = mood.shade(WHITE)
    rim = darker(body, 0.16)
    with canvas.at(x, y, 0.8):
        for cy, r in ((-8, 9), (-21, 6.8), (-31, 5)):
            canvas.ellipse(0, cy, r, r, body, stroke=rim, width=0.8)
        for dx, dy in ((-1.8, -32.5), (1.8, -32.5), (0, -23), (0, -19)):
            _dot(canvas, dx, dy, 0.8, (50, 52, 66))
        canvas.polygon([(0, -31.5), (6, -30), (0, -29.6)], mood.shade((240, 138, 50)))
        canvas.rectangle(-5, -27.6, 5, -25, mood.shade((206, 64, 68)), radius=1)


def _draw_forest(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    _sky(canvas, mood, light, rng, 70, clouds=1, sun_x=48, lift=28)
    ground = mood.shade((112, 148, 78))
    for base, size, haze, step in ((76, 1.25, 0.62, 13), (82, 1.2, 0.38, 17)):
        leaf = mood.shade((56, 124, 92), haze)
        for x in np.arange(-4, 136, step):
            _spire(canvas, x + rng.uniform(-4, 4), base, size * rng.uniform(0.8, 1.2), leaf)
        canvas.rectangle(-2, base - 6, SIZE + 2, base + 12, leaf, outline=False)
    _ridge(canvas, rng, 83, 2, 6, ground)
    canvas.blob(
        [(58, 82), (70, 82), (80, 96), (110, 134), (16, 134), (50, 96)], mood.shade((186, 160, 108)), outline=False
    )
    bark = mood.shade(BARK)
    for x in _both_sides(rng, 3, 34, 22):
        _fir(canvas, x, rng.uniform(88, 91), rng.uniform(1.05, 1.4), mood.shade(PINE, 0.1), bark)
    for x in _both_sides(rng, 2, 8, -2):
        w = rng.uniform(6, 8)
        trunk = [(-w - 5, 106), (-w, 92), (-w * 0.8, -4), (w * 0.8, -4), (w, 92), (w + 5, 106)]
        canvas.polygon(np.array(trunk) + (x, 0), darker(bark, 0.12))
        for dx in (-0.5, 0.1, 0.5):
            y = rng.uniform(10, 60)
            canvas.line([(x + dx * w, y), (x + dx * w, y + 22)], darker(bark, 0.34), 1, outline=False)
    canopy = mood.shade((46, 110, 72))
    for side in (0, SIZE):
        reach = rng.uniform(28, 38) * (1 if side == 0 else -1)
        crown = [
            (side - reach, -12),
            (side + reach, -8),
            (side + reach * 0.9, 7),
            (side + reach * 0.55, 12),
            (side + reach * 0.35, 20),
            (side, 22),
            (side - reach * 0.6, 16),
        ]
        canvas.blob(crown, canopy)
    _tufts(canvas, rng, darker(ground, 0.24), 8, 92)
    for x in _both_sides(rng, rng.randint(2, 4), 32, 8):
        _mushroom(canvas, x, rng.uniform(100, 122), mood)


def _spire(canvas: Canvas, x: float, y: float, size: float, leaf: RGB) -> None:
    """A far conifer, about 40 * size high, in one flat tone."""
    half = 8 * size
    _patch(
        canvas,
        [
            (x, y - 40 * size),
            (x + half * 0.6, y - 20 * size),
            (x + half * 0.3, y - 20 * size),
            (x + half, y),
            (x - half, y),
            (x - half * 0.3, y - 20 * size),
            (x - half * 0.6, y - 20 * size),
        ],
        leaf,
    )


def _mushroom(canvas: Canvas, x: float, y: float, mood: Mood) -> None:
    cap = mood.shade((214, 68, 60))
    canvas.rectangle(x - 1.1, y - 4, x + 1.1, y, mood.shade((246, 236, 216)), radius=0.8)
    canvas.polygon([(x - 4, y - 3.4), (x - 2.8, y - 6.2), (x, y - 7.4), (x + 2.8, y - 6.2), (x + 4, y - 3.4)], cap)
    for dx, dy in ((-1.6, -4.8), (1.2, -5.8)):
        _dot(canvas, x + dx, y + dy, 0.7, lighter(cap, 0.8))


def _draw_desert(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    hot = Mood(
        mood.top,
        mix(mood.bottom, (255, 226, 176), 0.1 if mood.dark else 0.5),
        mood.tint,
        mood.strength,
        mood.cloud,
        mood.dark,
    )
    _sky(canvas, hot, light, rng, 76, clouds=1)
    sand, rock = hot.shade((238, 182, 106)), hot.shade((206, 116, 78), 0.3)
    for x in _both_sides(rng, rng.randint(2, 3), 34, 4):
        _mesa(canvas, x, 78, rng.uniform(0.7, 1.1), rock)
    _ridge(canvas, rng, 72, 4, 4, mix(sand, hot.bottom, 0.38))
    _dune(canvas, rng, 74, mix(sand, hot.bottom, 0.14))
    _dune(canvas, rng, 84, sand)
    _ridge(canvas, rng, 100, 3, 4, lighter(sand, 0.14), outline=False)
    for _ in range(6):
        x, y = rng.uniform(-8, 110), rng.uniform(104, 125)
        canvas.line(
            [(x, y), (x + 8, y - 1.2), (x + 16, y), (x + 24, y - 0.8)],
            darker(sand, 0.1),
            0.7,
            curve=True,
            outline=False,
        )
    for x in _both_sides(rng, rng.randint(2, 3), 26, 10):
        _cactus(canvas, x, rng.uniform(90, 102), rng.uniform(0.7, 1.1), hot)
    for x in _both_sides(rng, 2, 40, 6):
        canvas.ellipse(x, rng.uniform(112, 122), 3.4, 2, hot.shade((170, 116, 84)), outline=False)


def _dune(canvas: Canvas, rng: random.Random, y: float, sand: RGB) -> None:
    """A dune over the whole width with a crest at one side, dark on the lee."""
    crest, flip = rng.uniform(20, 46), rng.random() < 0.5
    with canvas.at(SIZE if flip else 0, y, flip=flip):
        lit = smooth([(-14, 2), (crest * 0.5, -5), (crest, -13)], closed=False)
        lee = smooth([(crest, -13), (crest + 22, -4), (SIZE + 14, 1)], closed=False)
        canvas.polygon([*lit.tolist(), *lee.tolist(), (SIZE + 14, 60), (-14, 60)], sand)
        _patch(canvas, [*lee.tolist(), (crest + 34, 9), (crest + 14, 4), (crest + 8, -2)], darker(sand, 0.13))


def _mesa(canvas: Canvas, x: float, y: float, size: float, rock: RGB) -> None:
    with canvas.at(x, y, size):
        canvas.polygon([(-24, 0), (-17, -12), (-15, -28), (-9, -29), (12, -28), (15, -12), (23, 0)], rock)
        _patch(canvas, [(4, -28.4), (12, -28), (15, -12), (23, 0), (8, 0)], darker(rock, 0.13))
        _patch(canvas, [(-16, -20), (13, -20), (13.6, -17), (-16.4, -17)], lighter(rock, 0.18))


def _cactus(canvas: Canvas, x: float, y: float, size: float, mood: Mood) -> None:
    green = mood.shade((70, 146, 92))
    with canvas.at(x, y, size, flip=x > SIZE / 2):
        canvas.ellipse(0, 0, 10, 1.8, mood.shade((200, 142, 82)), outline=False)
        for arm in ([(0, -14), (10, -14), (11, -27)], [(0, -19), (-9, -19), (-10, -31)]):
            canvas.line(arm, green, 5)
        canvas.rectangle(-4, -42, 4, 0, green, radius=4)
        for dx in (-1.3, 1.4):
            canvas.line([(dx, -38), (dx, -3)], darker(green, 0.18), 0.8, outline=False)
        _dot(canvas, 0, -42, 2.2, mood.shade((240, 120, 150)))


def _draw_mountains(canvas: Canvas, mood: Mood, light: str, rng: random.Random) -> None:
    _sky(canvas, mood, light, rng, 76, clouds=2, lift=30)
    for count, base, low, high, haze in ((4, 74, 26, 36, 0.5), (3, 80, 40, 54, 0.14)):
        rock = mood.shade((112, 126, 158), haze)
        spots = [SIZE * (k + 0.5) / count + rng.uniform(-10, 10) for k in range(count)]
        for x in rng.sample(spots, count):
            _peak(canvas, x, base, rng.uniform(low, high), rock, mood.shade((250, 252, 255), haze * 0.6), rng)
    _ridge(canvas, rng, 75, 2, 6, mood.shade((92, 150, 120), 0.2))
    for x in range(0, 131, 13):
        _spire(canvas, x + rng.uniform(-4, 4), 84, rng.uniform(0.28, 0.45), mood.shade(PINE, 0.15))
    meadow = mood.shade((134, 188, 98))
    _ridge(canvas, rng, 82, 1.5, 5, meadow)
    if rng.random() < 0.5:
        canvas.ellipse(_side(rng, 30, 10), 91, 24, 3.6, mood.shade((96, 174, 214)))
    _ridge(canvas, rng, 100, 3, 4, lighter(meadow, 0.14), outline=False)
    for x in _both_sides(rng, rng.randint(2, 3), 16, 2):
        _fir(canvas, x, rng.uniform(92, 102), rng.uniform(0.8, 1.2), mood.shade(PINE), mood.shade(BARK))
    _tufts(canvas, rng, darker(meadow, 0.18), 6, 100)
    for _ in range(7):
        _dot(canvas, rng.uniform(2, 126), rng.uniform(98, 126), 1, mood.shade(rng.choice((WHITE, (250, 214, 90)))))


def _peak(canvas: Canvas, x: float, y: float, height: float, rock: RGB, snow: RGB, rng: random.Random) -> None:
    """A snow-capped peak, lit from the left."""
    half, lean = height * rng.uniform(0.75, 0.95), rng.uniform(-4, 4)
    top = (x + lean, y - height)
    left, right = (x - half, y + 4), (x + half, y + 4)
    canvas.polygon([left, top, right], rock)
    fold = (x + lean + height * 0.1, y - height * 0.5)
    _patch(canvas, [top, right, (x + half * 0.1, y + 4), fold], darker(rock, 0.2))

    def along(foot: tuple[float, float], share: float) -> tuple[float, float]:
        return top[0] + (foot[0] - top[0]) * share, top[1] + (foot[1] - top[1]) * share

    middle = (x + lean + height * 0.05, y - height * 0.74)
    (lx, ly), (rx, ry) = along(left, 0.36), along(right, 0.36)
    notch = (lx * 0.5 + middle[0] * 0.5, ly - height * 0.1)
    canvas.polygon(
        [
            top,
            (lx, ly),
            notch,
            (middle[0] - 1, ly + height * 0.05),
            middle,
            (rx * 0.6 + middle[0] * 0.4, ry),
            (rx * 0.75 + middle[0] * 0.25, ry - height * 0.07),
            (rx, ry),
        ],
        snow,
    )
    _patch(
        canvas,
        [top, middle, (rx * 0.6 + middle[0] * 0.4, ry), (rx * 0.75 + middle[0] * 0.25, ry - height * 0.07), (rx, ry)],
        mix(snow, rock, 0.35),
    )


PLACE_PAINTERS: dict[str, Callable[[Canvas, Mood, str, random.Random], None]] = {
    "beach": _draw_beach,
    "park": _draw_park,
    "city": _draw_city,
    "living room": _draw_living_room,
    "snow": _draw_snow,
    "forest": _draw_forest,
    "desert": _draw_desert,
    "mountains": _draw_mountains,
}


def _draw_studio(canvas: Canvas, backdrop: RGB) -> None:
    """A plain wall that brightens downward, and a floor a little darker than it."""
    canvas.rectangle(0, 0, SIZE, 90, Gradient(darker(backdrop, 0.06), lighter(backdrop, 0.12)), outline=False)
    canvas.rectangle(0, 89, SIZE, SIZE, Gradient(darker(backdrop, 0.06), darker(backdrop, 0.16)), outline=False)


def draw_place(canvas: Canvas, place: str, backdrop: RGB | None, light: str, rng: random.Random) -> None:
    """Fill the picture with a place under a light; `backdrop` colours the studio, which is always in plain light."""
    if place == STUDIO:
        if backdrop is None:
            raise ValueError("the studio needs a backdrop colour")
        _draw_studio(canvas, backdrop)
        return
    PLACE_PAINTERS[place](canvas, MOODS[light], light, rng)


def draw_weather(canvas: Canvas, weather: str, light: str, rng: random.Random) -> None:
    """Draw what falls in front of everything: rain or snowfall; nothing for "clear"."""
    mood = MOODS[light]
    if weather == "rain":
        _overcast(canvas, mix(mood.shade((132, 146, 168)), mood.top, 0.15), rng)
        _draw_rain(canvas, mix((226, 238, 250), mood.bottom, 0.25), rng)
    elif weather == "snowfall":
        _overcast(canvas, mix(mood.shade((178, 190, 208)), mood.top, 0.15), rng)
        _draw_flakes(canvas, mix(WHITE, mood.bottom, 0.06), rng)


def _overcast(canvas: Canvas, fill: RGB, rng: random.Random) -> None:
    """A bank of cloud along the top border, above the subject."""
    for x in range(0, 145, 24):
        _patch(canvas, ellipse_points(x + rng.uniform(-5, 5), 0, 19, rng.uniform(7, 11), n=20), fill)


def _scattered(rng: random.Random, count: int) -> list[tuple[float, float]]:
    """Points spread evenly over the picture, each nudged by a few units."""
    golden = (math.sqrt(5) - 1) / 2
    return [
        (SIZE * (k * golden % 1) + rng.uniform(-6, 6), SIZE * (k + 0.5) / count + rng.uniform(-6, 6))
        for k in range(count)
    ]


def _draw_rain(canvas: Canvas, drop: RGB, rng: random.Random) -> None:
    for _ in range(5):
        x, y, r = rng.uniform(4, 124), rng.uniform(98, 125), rng.uniform(5, 11)
        canvas.polygon(ellipse_points(x, y, r, r * 0.2, n=16), drop, alpha=0.35, outline=False)
    slant = rng.uniform(1.5, 4)
    for k, (x, y) in enumerate(_scattered(rng, 54)):
        reach, width = rng.uniform(0.7, 1.5), 0.5 if k % 3 else 0.9
        canvas.line([(x, y), (x - slant * reach, y + 7 * reach)], drop, width, alpha=0.75, outline=False)


def _draw_flakes(canvas: Canvas, flake: RGB, rng: random.Random) -> None:
    for x, y in _scattered(rng, 72):
        r = rng.choice((0.7, 0.9, 1.2, 1.7))
        _patch(canvas, ellipse_points(x, y, r, r, n=8), flake)


def draw_shadow(canvas: Canvas, x: float, y: float, half_width: float, light: str) -> None:
    """A soft contact shadow on the ground, centred at (x, y)."""
    colour = mix((24, 20, 44), MOODS[light].tint, 0.12)
    for share, alpha in ((1.0, 0.14), (0.78, 0.16)):
        rx = half_width * share
        canvas.polygon(ellipse_points(x, y, rx, rx * 0.16, n=24), colour, alpha=alpha, outline=False)
