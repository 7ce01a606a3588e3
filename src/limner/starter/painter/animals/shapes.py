"""Shapes of a body: layouts of poses, filled parts with a contour, edges of fur, and bands along a path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limner.starter.painter.canvas import RGB, Canvas, Gradient, Points, darker, ellipse_points, lighter, smooth


@dataclass(frozen=True)
class PoseLayout:
    """Where the parts of the body are in a pose, in animal units.

    torso: its contour (n, 2). head: x, y and radius. neck: x, y and width. tail: its root, and its direction (-1 is
    left). belly: an ellipse. emblem: x, y and radius of the emblem on the body. wing: the root of the near wing.
    frontal: seen from the front.
    """

    torso: np.ndarray
    head: tuple[float, float, float]
    neck: tuple[float, float, float]
    tail: tuple[float, float, float]
    belly: tuple[float, float, float, float]
    emblem: tuple[float, float, float]
    wing: tuple[float, float]
    frontal: bool = False


def line_colour(colour: RGB) -> RGB:
    """The colour of a thin contour: darker than the shape, or lighter around a dark coat, to be visible at night."""
    return lighter(colour, 0.24) if sum(colour) < 240 else darker(colour, 0.4)


def solid(canvas: Canvas, points: np.ndarray, colour: RGB) -> np.ndarray:
    """Draw a main part of the body with a thin contour and return its points."""
    return canvas.polygon(points, colour, stroke=line_colour(colour), width=0.8)


def modelled(canvas: Canvas, points: np.ndarray, colour: RGB) -> np.ndarray:
    """Draw a main part that is darker at the bottom and return its points."""
    shaded = Gradient(lighter(colour, 0.07), darker(colour, 0.12))
    return canvas.polygon(points, shaded, stroke=line_colour(colour), width=0.8)


def mirror(points: Points) -> np.ndarray:
    """The points with x negated."""
    return np.asarray(points, float) * (-1, 1)


def coat_edge(points: np.ndarray, fur: str) -> np.ndarray:
    """A closed contour with tufts ("fluffy") or curls ("curly") along it; "smooth" leaves it as it is."""
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


def ribbon(path: Points, widths: Sequence[float]) -> np.ndarray:
    """The contour of a smooth band along an open path; `widths` are full widths at evenly spaced positions."""
    middle = smooth(path, closed=False, steps=6)
    tangent = np.gradient(middle, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) / np.hypot(*tangent.T)[:, None]
    half = np.interp(np.linspace(0, 1, len(middle)), np.linspace(0, 1, len(widths)), widths)[:, None] / 2
    end = math.degrees(math.atan2(tangent[-1, 1], tangent[-1, 0]))
    cap = ellipse_points(middle[-1, 0], middle[-1, 1], float(half[-1, 0]), float(half[-1, 0]), end, 16)
    return np.concatenate([middle + normal * half, cap[np.r_[13:16, 0:4]], (middle - normal * half)[::-1]])
