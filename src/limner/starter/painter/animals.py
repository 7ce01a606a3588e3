"""Cats and dogs from a `Look`: the twelve breeds, and the drawing code that characters share with them.

Animal units: the origin is the centre of ground contact, y grows downward, a sitting animal is about 72 high.
Head units: the origin is the centre of the head, whose radius is 18.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Gradient, Points, darker, ellipse_points, lighter, mix, smooth
from .vocabulary import RGB

HEAD = 18.0  # head units in one head radius
INK: RGB = (38, 30, 40)
WHITE: RGB = (252, 250, 246)
PINK: RGB = (240, 146, 156)


@dataclass(frozen=True)
class Look:
    """How an animal looks, whatever its pose.

    ears: pointed, small, upright, floppy, long, pompom or round. fur: smooth, fluffy or curly.
    legs: leg length, 1 for usual. cheeks: head width, 1 for usual.
    tail: slim, plush, curl, thin, feather, pompom or stub.
    marks: the named markings and parts; see `COAT_MARKS`, `FACE_MARKS`, `EMBLEMS` and `PARTS`.
    other_mark_colour: of the second patch and so on; `part_colour`: of horn, wings, antenna and mohawk.
    second_eye: the colour of the right eye where it differs.
    """

    species: str
    coat: RGB
    belly: RGB
    muzzle: RGB
    eye: RGB
    ears: str = "pointed"
    ear_colour: RGB | None = None
    inner_ear: RGB = PINK
    nose: RGB = INK
    fur: str = "smooth"
    legs: float = 1.0
    cheeks: float = 1.0
    tail: str = "slim"
    tail_colour: RGB | None = None
    paws: RGB | None = None
    marks: tuple[str, ...] = ()
    mark_colour: RGB = INK
    other_mark_colour: RGB = INK
    part_colour: RGB = (250, 204, 70)
    second_eye: RGB | None = None

    @property
    def is_cat(self) -> bool:
        return self.species == "cat"


@dataclass(frozen=True)
class Anatomy:
    """Where extras go, in animal units; `tilt` is the head's turn in degrees."""

    head_centre: tuple[float, float]
    head_radius: float
    head_top: tuple[float, float]
    eyes: tuple[tuple[float, float], tuple[float, float]]
    neck_centre: tuple[float, float]
    neck_width: float
    tilt: float


_SNOW: RGB = (248, 246, 242)
_NOSE_PINK: RGB = (232, 122, 136)

BREED_LOOKS: dict[str, Look] = {
    "tabby": Look(
        "cat",
        (240, 154, 66),
        (252, 216, 164),
        (255, 232, 200),
        (120, 186, 74),
        nose=_NOSE_PINK,
        marks=("stripes",),
        mark_colour=(176, 86, 26),
    ),
    "black": Look(
        "cat",
        (46, 46, 56),
        (60, 60, 72),
        (62, 62, 74),
        (250, 208, 60),
        inner_ear=(120, 88, 104),
        nose=(96, 78, 92),
    ),
    "siamese": Look(
        "cat",
        (242, 226, 200),
        (250, 240, 222),
        (98, 68, 58),
        (74, 156, 236),
        ear_colour=(86, 60, 52),
        inner_ear=(150, 108, 98),
        nose=(52, 38, 38),
        cheeks=0.98,
        tail_colour=(86, 60, 52),
        paws=(98, 68, 58),
        marks=("dark face",),
        mark_colour=(98, 68, 58),
    ),
    "calico": Look(
        "cat",
        _SNOW,
        (255, 255, 252),
        (255, 255, 252),
        (118, 176, 80),
        ear_colour=(238, 140, 50),
        nose=_NOSE_PINK,
        tail_colour=(238, 140, 50),
        marks=("patches", "face patches"),
        mark_colour=(238, 140, 50),
        other_mark_colour=(52, 46, 50),
    ),
    "british shorthair": Look(
        "cat",
        (128, 142, 164),
        (150, 163, 184),
        (154, 167, 187),
        (240, 150, 40),
        ears="small",
        inner_ear=(190, 156, 170),
        nose=(88, 92, 112),
        cheeks=1.14,
        tail="plush",
    ),
    "persian": Look(
        "cat",
        (248, 234, 214),
        (255, 248, 236),
        (255, 248, 238),
        (66, 150, 170),
        ears="small",
        nose=_NOSE_PINK,
        fur="fluffy",
        cheeks=1.1,
        tail="plush",
        legs=0.85,
    ),
    "golden retriever": Look(
        "dog",
        (230, 172, 88),
        (248, 212, 146),
        (250, 220, 162),
        (96, 58, 34),
        ears="floppy",
        ear_colour=(198, 132, 58),
        fur="fluffy",
        tail="feather",
    ),
    "dalmatian": Look(
        "dog",
        _SNOW,
        (255, 255, 253),
        (255, 255, 253),
        (92, 62, 40),
        ears="floppy",
        ear_colour=(46, 44, 50),
        tail="thin",
        marks=("spots", "face spots"),
        mark_colour=(44, 42, 48),
    ),
    "husky": Look(
        "dog",
        (104, 116, 136),
        _SNOW,
        _SNOW,
        (70, 170, 244),
        tail="curl",
        paws=_SNOW,
        marks=("mask",),
        mark_colour=_SNOW,
        cheeks=1.04,
    ),
    "poodle": Look(
        "dog",
        (158, 98, 66),
        (176, 116, 82),
        (190, 132, 98),
        (70, 42, 30),
        ears="pompom",
        ear_colour=(128, 76, 50),
        fur="curly",
        tail="pompom",
        marks=("topknot",),
        mark_colour=(158, 98, 66),
        cheeks=0.92,
    ),
    "beagle": Look(
        "dog",
        _SNOW,
        (255, 255, 253),
        _SNOW,
        (96, 58, 34),
        ears="long",
        ear_colour=(140, 80, 42),
        tail="thin",
        marks=("saddle", "hood", "blaze"),
        mark_colour=(54, 46, 46),
        other_mark_colour=(186, 112, 58),
    ),
    "corgi": Look(
        "dog",
        (234, 144, 64),
        _SNOW,
        _SNOW,
        (84, 50, 32),
        ears="upright",
        legs=0.45,
        cheeks=1.06,
        tail="stub",
        paws=_SNOW,
        marks=("bib", "blaze"),
        mark_colour=_SNOW,
    ),
}


# --- contours ---------------------------------------------------------------------------------------------


def _mirror(points: Points) -> np.ndarray:
    return np.asarray(points, float) * (-1, 1)


def _coat_edge(points: np.ndarray, fur: str) -> np.ndarray:
    """A closed contour with the tufts or curls of its fur."""
    if fur == "smooth":
        return points
    ring = np.concatenate([points, points[:1]])
    along = np.concatenate([[0], np.hypot(*np.diff(ring, axis=0).T).cumsum()])
    tuft, per = (6.0, 4) if fur == "fluffy" else (6.5, 5)
    tufts = max(6, round(along[-1] / tuft))
    at = np.linspace(0, along[-1], tufts * per, endpoint=False)
    even = np.stack([np.interp(at, along, ring[:, axis]) for axis in (0, 1)], axis=1)
    tangent = np.roll(even, -1, 0) - np.roll(even, 1, 0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) / np.hypot(*tangent.T)[:, None]
    area = float(np.sum(even[:, 0] * np.roll(even[:, 1], -1) - np.roll(even[:, 0], -1) * even[:, 1]))
    phase = np.arange(len(even)) % per / per
    rise = 1.9 * phase**1.4 if fur == "fluffy" else 2.0 * np.sin(math.pi * phase)
    return even + normal * (math.copysign(1, area) * rise)[:, None]


def _ribbon(path: Points, widths: Sequence[float]) -> np.ndarray:
    """A smooth band along an open path; `widths` are full widths at evenly spaced places of it."""
    middle = smooth(path, closed=False, steps=6)
    tangent = np.gradient(middle, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) / np.hypot(*tangent.T)[:, None]
    half = np.interp(np.linspace(0, 1, len(middle)), np.linspace(0, 1, len(widths)), widths)[:, None] / 2
    end = math.degrees(math.atan2(tangent[-1, 1], tangent[-1, 0]))
    cap = ellipse_points(middle[-1, 0], middle[-1, 1], float(half[-1, 0]), float(half[-1, 0]), end, 16)
    return np.concatenate([middle + normal * half, cap[np.r_[13:16, 0:4]], (middle - normal * half)[::-1]])


def line_colour(colour: RGB) -> RGB:
    """The thin contour of a shape: darker, or lighter round a dark coat so that it shows at night."""
    return lighter(colour, 0.24) if sum(colour) < 240 else darker(colour, 0.4)


def solid(canvas: Canvas, points: np.ndarray, colour: RGB) -> np.ndarray:
    """A main part of the body, with its thin contour."""
    return canvas.polygon(points, colour, stroke=line_colour(colour), width=0.8)


def _modelled(canvas: Canvas, points: np.ndarray, colour: RGB) -> np.ndarray:
    """A main part that grows darker towards its foot."""
    shaded = Gradient(lighter(colour, 0.07), darker(colour, 0.12))
    return canvas.polygon(points, shaded, stroke=line_colour(colour), width=0.8)


# --- emblems: one picture each, round (0, 0) with radius 1 ---------------------------------------------------


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
    return _ribbon(middle[::2], (0.24, 0.3))


EMBLEMS: dict[str, np.ndarray] = {
    "star": _star(),
    "heart": _heart(),
    "moon": _moon(),
    "flower": _flower(),
    "spiral": _spiral(),
    "diamond": np.array([(0, -1.1), (0.75, 0), (0, 1.1), (-0.75, 0)]),
    "lightning": np.array([(0.25, -1.15), (-0.6, 0.15), (-0.05, 0.15), (-0.3, 1.15), (0.65, -0.25), (0.08, -0.25)]),
}


def _emblem(canvas: Canvas, look: Look, place: str, x: float, y: float, radius: float) -> None:
    """The emblems of one place: marks such as "belly star" or "forehead lightning"."""
    for mark in look.marks:
        where, _, form = mark.partition(" ")
        if where == place and form in EMBLEMS:
            canvas.polygon(EMBLEMS[form] * radius + (x, y), look.mark_colour, outline=False)


# --- poses ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """The layout of one pose in animal units.

    head: x, y and radius. neck: x, y and width. tail: its root, and which way it points (-1 left).
    belly: an ellipse. emblem: x, y and radius of the picture on the body. wing: the root of the near wing.
    """

    torso: np.ndarray
    head: tuple[float, float, float]
    neck: tuple[float, float, float]
    tail: tuple[float, float, float]
    belly: tuple[float, float, float, float]
    emblem: tuple[float, float, float]
    wing: tuple[float, float]
    frontal: bool = False


def _sitting(look: Look) -> _Plan:
    low = 4 * (1 - look.legs)
    half = [(0, -38), (9, -35), (13.5, -25), (16.5, -12), (15, -3), (6, -0.5)]
    torso = smooth([*half, *_mirror(half[:0:-1])], steps=5) * (1, 1 - low / 38)
    return _Plan(
        torso,
        (0, -46 + low, 17.2),
        (0, -33.5 + low, 20.5),
        (13, -7, 1),
        (0, -21 + low, 9, 13),
        (0, -20.3 + low, 6.6),
        (10, -27 + low),
        True,
    )


def _standing(look: Look) -> _Plan:
    low = 15 * (1 - look.legs)
    spine = [(-28, -31), (-20, -36), (-4, -35), (10, -39), (22, -36), (25, -26), (18, -17), (0, -13.5), (-18, -15)]
    torso = smooth([*spine, (-28, -21)], steps=5) + (0, low)
    return _Plan(
        torso,
        (21, -43 + low, 15.2),
        (20.5, -30.5 + low, 18.5),
        (-25, -31 + low, -1),
        (-2, -14 + low, 22, 6),
        (-9, -25.5 + low, 7.2),
        (3, -36.5 + low),
    )


def _lying(look: Look) -> _Plan:
    low = 2 * (1 - look.legs)
    back = [(-33, -8), (-29, -20), (-16, -24), (0, -23), (14, -26), (26, -20), (29, -6), (20, -0.5), (-26, -0.5)]
    return _Plan(
        smooth(back, steps=5) + (0, low),
        (19, -27 + low, 14.6),
        (18.5, -15.5 + low, 18.5),
        (-28, -8, -1),
        (18, -9, 9, 8),
        (-5, -15, 6.4),
        (2, -25 + low),
    )


_PLANS: dict[str, Callable[[Look], _Plan]] = {"sitting": _sitting, "standing": _standing, "lying": _lying}


# --- tail, legs and paws -----------------------------------------------------------------------------------------

# For each tail form: its path from the root outward, and its widths.
_TAILS: dict[str, tuple[list[tuple[float, float]], tuple[float, ...]]] = {
    "slim": ([(-3, 1), (7, 0), (13, -8), (11, -18), (15, -25)], (5.5, 5, 5, 4.6)),
    "plush": ([(-3, 1), (7, 0), (13, -8), (12, -17), (15, -23)], (7, 9, 10, 7)),
    "curl": ([(-3, 3), (7, -4), (10, -14), (4, -20), (-3, -17)], (7, 9, 9, 6)),
    "thin": ([(-3, 2), (6, -4), (11, -13), (12, -22)], (6, 5, 4, 2.4)),
    "feather": ([(-3, 2), (7, -1), (14, -7), (18, -17)], (5, 9, 11, 4)),
    "pompom": ([(-3, 2), (5, -6), (8, -14)], (4.5, 4)),
    "stub": ([(-3, 2), (3, -2), (7, -5)], (8, 7.5)),
}


def _draw_tail(canvas: Canvas, look: Look, plan: _Plan, flat: bool, rng: random.Random) -> None:
    path, widths = _TAILS[look.tail]
    x, y, way = plan.tail
    bend = rng.uniform(-2.5, 2.5)
    reach = np.linspace(0, 1, len(path))
    points = np.asarray(path, float) * ((way * 0.85, 0.62) if flat else (way, 1)) + (x, y)
    points[:, 0] += bend * reach**2
    colour = look.tail_colour or look.coat
    fur = look.fur if look.tail in ("plush", "feather") else "smooth"
    band = solid(canvas, _coat_edge(_ribbon(points, widths), fur), colour)
    tip = points[-1]
    if look.tail == "pompom":
        solid(canvas, _coat_edge(ellipse_points(tip[0], tip[1], 6, 6), "curly"), colour)
    with canvas.clip(band):
        if {"stripes", "zigzags"} & set(look.marks):
            for k in range(2, len(points)):
                canvas.ellipse(points[k, 0], points[k, 1], 4.2, 1.3, look.mark_colour, outline=False)
        elif look.tail in ("curl", "feather", "thin") and "mask" in look.marks:
            canvas.ellipse(tip[0], tip[1], 5, 5, look.belly, outline=False)


def _draw_paw(canvas: Canvas, x: float, y: float, rx: float, colour: RGB, shift: float = 0) -> None:
    """A paw with two lines between its toes; `shift` moves the toes towards where it points."""
    solid(canvas, ellipse_points(x, y, rx, 3.4, n=24), colour)
    for dx in (-0.3, 0.3):
        toe = x + dx * rx + shift
        canvas.line([(toe, y + 0.4), (toe, y + 2.4)], line_colour(colour), 0.7, outline=False)


def _draw_leg(canvas: Canvas, look: Look, x: float, top: float, shade: float, width: float = 8) -> None:
    """A standing leg from `top` down to the ground; `shade` darkens the far ones."""
    coat = darker(look.coat, shade)
    curly = look.fur == "curly"
    half = width / 2
    leg = solid(canvas, np.array([(x - half - 1, top), (x + half + 1, top), (x + half, -2), (x - half, -2)]), coat)
    with canvas.clip(leg):
        _leg_marks(canvas, look, x, top)
    if curly:
        solid(canvas, _coat_edge(ellipse_points(x, -6, 5, 4.4), "curly"), coat)
    _draw_paw(canvas, x + 1, -3, half + 1.2, darker(look.paws, shade) if look.paws else coat, 1)


def _leg_marks(canvas: Canvas, look: Look, x: float, top: float) -> None:
    """Bands or dots on one leg, inside the current clip."""
    if "stripes" in look.marks:
        for part in (0.5, 0.72):
            canvas.line(
                [(x - 6, top * (1 - part)), (x + 1.5, top * (1 - part) + 1)], look.mark_colour, 1.6, outline=False
            )
    elif {"spots", "dots"} & set(look.marks):
        canvas.ellipse(x - 1.5, top * 0.55, 1.8, 1.8, look.mark_colour, outline=False)


def _draw_front_leg(canvas: Canvas, look: Look, side: int, top: float) -> None:
    """A front leg of the sitting pose: open at its top, where it runs into the chest."""
    outer, inner = side * 11.2, side * 1.2
    canvas.polygon(
        [(side * 10, top), (side * 2.6, top), (inner, -3), (outer - side * 0.8, -3)],
        mix(look.coat, look.belly, 0.25),
        outline=False,
    )
    for x_top, x_foot in ((side * 10.2, outer - side), (side * 2.4, inner + side * 0.4)):
        canvas.line([(x_top, top + 2), (x_foot, -4)], line_colour(look.coat), 0.8)
    _leg_marks(canvas, look, side * 6 + 2, top)
    _draw_paw(canvas, side * 6.2, -3.2, 5.6, look.paws or look.coat)


# --- coat ------------------------------------------------------------------------------------------------------


def _fractions(torso: np.ndarray, places: Points) -> np.ndarray:
    """Places given as fractions of the torso's bounding box, in animal units."""
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


def _spot_places(plan: _Plan) -> np.ndarray:
    return _fractions(plan.torso, _FRONTAL_SPOT_PLACES if plan.frontal else _SPOT_PLACES)


def _spots(canvas: Canvas, look: Look, plan: _Plan) -> None:
    for k, (x, y) in enumerate(_spot_places(plan)):
        size = (2.9, 2.1, 2.5)[k % 3]
        canvas.ellipse(x, y, size, size * 0.86, look.mark_colour, angle=40 * k, outline=False)


def _dots(canvas: Canvas, look: Look, plan: _Plan) -> None:
    for x, y in _spot_places(plan):
        canvas.ellipse(x, y, 2.7, 2.7, look.mark_colour, outline=False)


def _stripe_paths(plan: _Plan) -> list[np.ndarray]:
    """Stripes from the flanks inward (sitting) or from the back downward."""
    if plan.frontal:
        places = [
            [(edge, y), (edge + way * 0.2, y + 0.02), (edge + way * 0.32, y - 0.02)]
            for y in (0.34, 0.52, 0.7)
            for edge, way in ((0, 1), (1, -1))
        ]
    else:
        places = [[(x, -0.05), (x - 0.025, 0.25), (x + 0.02, 0.52)] for x in (0.1, 0.23, 0.36, 0.49, 0.62)]
    return [_fractions(plan.torso, place) for place in places]


def _stripes(canvas: Canvas, look: Look, plan: _Plan) -> None:
    for path in _stripe_paths(plan):
        canvas.polygon(_ribbon(path, (4.2, 3, 0.8)), look.mark_colour, outline=False)


def _zigzags(canvas: Canvas, look: Look, plan: _Plan) -> None:
    for y in (0.34, 0.56) if plan.frontal else (0.42, 0.7):
        steps = np.arange(11)
        places = np.stack([steps / 10, y + 0.07 * (-1.0) ** steps], axis=1)
        canvas.line(_fractions(plan.torso, places), look.mark_colour, 2.2, outline=False)


def _patches(canvas: Canvas, look: Look, plan: _Plan) -> None:
    for (x, y), size, colour in zip(
        _fractions(plan.torso, ((0.16, 0.32), (0.6, 0.18), (0.92, 0.58))),
        (8.5, 7, 8.5),
        (look.other_mark_colour, look.mark_colour, look.other_mark_colour),
        strict=True,
    ):
        wave = [(-1, -0.2), (-0.4, -1), (0.5, -0.8), (1, 0), (0.6, 0.9), (-0.3, 0.7)]
        canvas.blob(np.asarray(wave) * size + (x, y), colour, outline=False)


def _saddle(canvas: Canvas, look: Look, plan: _Plan) -> None:
    if plan.frontal:
        flank = np.array([(-24, -42), (-9, -36), (-8, -24), (-12, -12), (-24, -10)], float)
        for part in (flank, _mirror(flank)):
            canvas.blob(part, look.mark_colour, outline=False)
        return
    cape = [(-0.02, -0.1), (0.6, -0.2), (0.72, 0.2), (0.5, 0.52), (0.25, 0.46), (0.02, 0.6)]
    canvas.blob(_fractions(plan.torso, cape), look.mark_colour, outline=False)


def _bib(canvas: Canvas, look: Look, plan: _Plan) -> None:
    x, y, width = plan.neck
    canvas.ellipse(x + (0 if plan.frontal else 3), y + 5, width * 0.5, 12, look.mark_colour, outline=False)


COAT_MARKS: dict[str, Callable[[Canvas, Look, _Plan], None]] = {
    "spots": _spots,
    "dots": _dots,
    "stripes": _stripes,
    "zigzags": _zigzags,
    "patches": _patches,
    "saddle": _saddle,
    "bib": _bib,
}


def _draw_torso(canvas: Canvas, look: Look, plan: _Plan) -> None:
    body = _modelled(canvas, _coat_edge(plan.torso, look.fur), look.coat)
    with canvas.clip(body):
        canvas.ellipse(*plan.belly, look.belly, outline=False)
        for name, draw in COAT_MARKS.items():
            if name in look.marks:
                draw(canvas, look, plan)
    if not plan.frontal:
        _emblem(canvas, look, "belly", *plan.emblem)


def _draw_wing(canvas: Canvas, look: Look, x: float, y: float, way: float) -> None:
    """A tiny feathered wing with its root at (x, y), spread towards `way` (1 is right)."""
    wing = [(-1, 3), (1, -8), (8, -15), (17, -16), (15, -10), (17, -7), (12, -3), (12, 1), (6, 3)]
    points = smooth(np.asarray(wing, float) * (way, 1) + (x, y), steps=4)
    solid(canvas, points, look.part_colour)
    for reach in ((13, -11), (10, -4)):
        tip = (x + way * reach[0], y + reach[1])
        canvas.line([(x + way * 3, y - 1), tip], darker(look.part_colour, 0.25), 0.9, outline=False)


# --- head ------------------------------------------------------------------------------------------------------

# The left ear of each form, and whether it hangs in front of the head.
_EARS: dict[str, tuple[list[tuple[float, float]], bool]] = {
    "pointed": ([(-16.5, -3), (-17, -16), (-15.6, -25), (-14, -25.4), (-8, -20), (-3, -13)], False),
    "small": ([(-16.5, -5), (-16.5, -14), (-14, -20.5), (-11.5, -21), (-7, -17.5), (-4, -12)], False),
    "upright": ([(-16, -4), (-19, -16), (-18.5, -27), (-15.5, -29.5), (-10, -25), (-5, -18), (-3, -12)], False),
    "round": ([(-16, -4), (-20.5, -10), (-20, -18), (-14, -22), (-8, -19), (-5, -12)], False),
    "floppy": ([(-9, -14.5), (-15.5, -14), (-20, -8), (-22, 3), (-19, 9), (-15, 6.5), (-13, -2), (-11, -8)], True),
    "long": ([(-8, -14.5), (-15, -14), (-19.5, -7), (-22, 6), (-20.5, 15), (-15.5, 16), (-13, 7), (-12.5, -6)], True),
    "pompom": ([(-10, -11), (-17, -11), (-22, -2), (-22.5, 8), (-18, 13), (-13.5, 9), (-12.5, 0)], True),
}


def _draw_ears(canvas: Canvas, look: Look) -> None:
    points, hanging = _EARS[look.ears]
    colour = look.ear_colour or look.coat
    contour = smooth(points, steps=5) * (look.cheeks, 1)
    if look.ears == "pompom":
        contour = _coat_edge(contour, "curly")
    calico = "face patches" in look.marks
    for side, ear in ((-1, contour), (1, _mirror(contour))):
        solid(canvas, ear, look.other_mark_colour if calico and side == 1 else colour)
        if not hanging:
            root = np.array([ear[:, 0].mean(), ear[:, 1].max()])
            canvas.polygon(root + (ear - root) * (0.56, 0.72), look.inner_ear, outline=False)


def _head_contour(look: Look) -> np.ndarray:
    if look.is_cat:
        half = [(0, -15.5), (9, -14.3), (15.5, -8), (18, 1), (16, 8.5), (9, 13.4)]
        chin = (0, 14.6)
    else:
        half = [(0, -16), (9, -14.6), (14.6, -8.5), (16, 0), (15, 7.5), (9, 14.2)]
        chin = (0, 16)
    points = [*half, chin, *_mirror(half[:0:-1])]
    fur = look.fur if look.is_cat or look.fur == "curly" else "smooth"
    return _coat_edge(smooth(points, steps=5) * (look.cheeks, 1), fur)


def _face_stripes(canvas: Canvas, look: Look) -> None:
    for x, length in ((-4.5, 5), (0, 7), (4.5, 5)):
        canvas.polygon(
            _ribbon([(x, -17), (x * 0.9, -17 + length), (x * 0.8, -14 + length)], (3, 1)),
            look.mark_colour,
            outline=False,
        )
    for side in (-1, 1):
        for y in (3.5, 8):
            canvas.polygon(
                _ribbon([(side * 20, y - 1), (side * 15, y), (side * 12.5, y)], (2.4, 0.8)),
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
    canvas.blob([*brow, *_mirror(brow[:0:-1])], look.mark_colour, outline=False)


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


def _draw_eyes(canvas: Canvas, look: Look, rng: random.Random) -> None:
    gaze, blink = rng.uniform(-0.8, 0.8), rng.random() < 0.04 and look.second_eye is None
    lid = INK if sum(look.coat) > 240 else lighter(look.coat, 0.5)
    for side, colour in ((-1, look.eye), (1, look.second_eye or look.eye)):
        x, y = _eye_place(look, side)
        if blink:
            canvas.line([(x - 4, y), (x, y + 2), (x + 4, y)], lid, 1.4, curve=True)
        else:
            _draw_eye(canvas, look, x, y, colour, gaze)


def _eye_place(look: Look, side: int) -> tuple[float, float]:
    return side * (7.6 if look.is_cat else 6.9) * look.cheeks, -1.0 if look.is_cat else -2.6


def _draw_cat_muzzle(canvas: Canvas, look: Look) -> None:
    ink = lighter(look.muzzle, 0.45) if sum(look.muzzle) < 260 else INK
    canvas.ellipse(0, 8, 7, 4.6, look.muzzle, outline=False)
    canvas.blob([(-2.3, 4.4), (0, 4), (2.3, 4.4), (0, 6.8)], look.nose)
    for side in (-1, 1):
        canvas.line([(0, 6.6), (side * 0.8, 8.9), (side * 3, 9.4), (side * 4.2, 8.2)], ink, 0.9, curve=True)
        for y, drop in ((6.6, -0.8), (8.8, 1.4)):
            whisker = mix(line_colour(look.coat), ink, 0.4)
            canvas.line([(side * 9, y), (side * 20.5, y + drop)], whisker, 0.6)


def _draw_dog_muzzle(canvas: Canvas, look: Look) -> None:
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
    solid(canvas, _coat_edge(ellipse_points(0, -15.5, 11, 7.5), "curly"), look.mark_colour)


HEAD_PARTS: dict[str, Callable[[Canvas, Look], None]] = {
    "antenna": _draw_antenna,
    "horn": _draw_horn,
    "mohawk": _draw_mohawk,
    "topknot": _draw_topknot,
}
PARTS = (*HEAD_PARTS, "wings", "odd eyes", "coloured ears")


def _draw_head(canvas: Canvas, look: Look, rng: random.Random) -> None:
    """The head in head units."""
    hanging = _EARS[look.ears][1]
    if not hanging:
        _draw_ears(canvas, look)
    head = _modelled(canvas, _head_contour(look), look.coat)
    with canvas.clip(head):
        for name, draw in FACE_MARKS.items():
            if name in look.marks:
                draw(canvas, look)
    if hanging:
        _draw_ears(canvas, look)
    (_draw_cat_muzzle if look.is_cat else _draw_dog_muzzle)(canvas, look)
    _draw_eyes(canvas, look, rng)
    _emblem(canvas, look, "forehead", 0, -10.4, 4.6)
    for name, draw in HEAD_PARTS.items():
        if name in look.marks:
            draw(canvas, look)


# --- whole animal ------------------------------------------------------------------------------------------------


def _sitting_body(canvas: Canvas, look: Look, plan: _Plan) -> None:
    for side in (-1, 1):
        if "wings" in look.marks:
            _draw_wing(canvas, look, side * plan.wing[0], plan.wing[1], side)
        solid(canvas, _coat_edge(ellipse_points(side * 14, -9, 8.5, 8.5, n=28), look.fur), darker(look.coat, 0.08))
        _draw_paw(canvas, side * 16.5, -3, 6.5, look.paws or look.coat)
    _draw_torso(canvas, look, plan)
    top = plan.emblem[1] + 6
    for side in (-1, 1):
        _draw_front_leg(canvas, look, side, top)
    _emblem(canvas, look, "belly", *plan.emblem)


def _standing_body(canvas: Canvas, look: Look, plan: _Plan) -> None:
    top = plan.emblem[1] + 4
    for x, shade in ((-13, 0.22), (20, 0.22), (-22, 0), (11.5, 0)):
        _draw_leg(canvas, look, x, top, shade)
    _draw_torso(canvas, look, plan)
    if "wings" in look.marks:
        _draw_wing(canvas, look, *plan.wing, -1)


def _lying_body(canvas: Canvas, look: Look, plan: _Plan) -> None:
    paw = look.paws or look.coat
    _draw_torso(canvas, look, plan)
    haunch = [(-31, -3), (-31, -12), (-24, -17.5), (-16, -13), (-14, -4), (-20, -1)]
    canvas.line(haunch[2:5], line_colour(look.coat), 0.8, curve=True)
    _draw_paw(canvas, -15, -3.2, 7, paw, 2)
    for x in (12, 26):
        _draw_paw(canvas, x, -3.4, 7, paw)
    if "wings" in look.marks:
        _draw_wing(canvas, look, *plan.wing, -1)


_BODIES: dict[str, Callable[[Canvas, Look, _Plan], None]] = {
    "sitting": _sitting_body,
    "standing": _standing_body,
    "lying": _lying_body,
}


def draw_animal(canvas: Canvas, look: Look, pose: str, rng: random.Random) -> Anatomy:
    """Draw an animal in animal units; `rng` decides head tilt, tail bend, gaze and blink only."""
    plan = _PLANS[pose](look)
    tilt = rng.uniform(-8, 8)
    _draw_tail(canvas, look, plan, pose == "lying", rng)
    _BODIES[pose](canvas, look, plan)
    x, y, radius = plan.head
    scale = radius / HEAD
    with canvas.at(x, y, scale, angle=tilt):
        _draw_head(canvas, look, rng)
    c, s = math.cos(math.radians(tilt)) * scale, math.sin(math.radians(tilt)) * scale

    def on_head(u: float, v: float) -> tuple[float, float]:
        return x + c * u - s * v, y + s * u + c * v

    eyes = on_head(*_eye_place(look, -1)), on_head(*_eye_place(look, 1))
    top = on_head(0, -18 if "topknot" in look.marks else -12.5)
    return Anatomy((x, y), radius, top, eyes, plan.neck[:2], plan.neck[2], tilt)
