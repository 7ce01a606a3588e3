"""The layout of a pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plan:
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
