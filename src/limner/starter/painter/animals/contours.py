"""The geometry of a body: mirrored points, edges of fur, bands along a path."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from limner.starter.painter.canvas import Points, ellipse_points, smooth


def mirror(points: Points) -> np.ndarray:
    return np.asarray(points, float) * (-1, 1)


def coat_edge(points: np.ndarray, fur: str) -> np.ndarray:
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


def ribbon(path: Points, widths: Sequence[float]) -> np.ndarray:
    """A smooth band along an open path; `widths` are full widths at evenly spaced places of it."""
    middle = smooth(path, closed=False, steps=6)
    tangent = np.gradient(middle, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) / np.hypot(*tangent.T)[:, None]
    half = np.interp(np.linspace(0, 1, len(middle)), np.linspace(0, 1, len(widths)), widths)[:, None] / 2
    end = math.degrees(math.atan2(tangent[-1, 1], tangent[-1, 0]))
    cap = ellipse_points(middle[-1, 0], middle[-1, 1], float(half[-1, 0]), float(half[-1, 0]), end, 16)
    return np.concatenate([middle + normal * half, cap[np.r_[13:16, 0:4]], (middle - normal * half)[::-1]])
