"""Pictures on a coat, each drawn round (0, 0) with radius 1."""

from __future__ import annotations

import math

import numpy as np

from limner.starter.painter.animals.contours import ribbon
from limner.starter.painter.animals.look import Look
from limner.starter.painter.canvas import Canvas


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


EMBLEMS: dict[str, np.ndarray] = {
    "star": _star(),
    "heart": _heart(),
    "moon": _moon(),
    "flower": _flower(),
    "spiral": _spiral(),
    "diamond": np.array([(0, -1.1), (0.75, 0), (0, 1.1), (-0.75, 0)]),
    "lightning": np.array([(0.25, -1.15), (-0.6, 0.15), (-0.05, 0.15), (-0.3, 1.15), (0.65, -0.25), (0.08, -0.25)]),
}


def draw_emblem(canvas: Canvas, look: Look, place: str, x: float, y: float, radius: float) -> None:
    """The emblems of one place: marks such as "belly star" or "forehead lightning"."""
    for mark in look.marks:
        where, _, form = mark.partition(" ")
        if where == place and form in EMBLEMS:
            canvas.polygon(EMBLEMS[form] * radius + (x, y), look.mark_colour, outline=False)
