"""Bars of one colour around a picture: letterbox, pillarbox and frames."""

from __future__ import annotations

import numpy as np

TOLERANCE = 20
"""How far, of 255 levels, a bar's pixels may be from its colour: JPEG leaves ripples beside its edge."""

_PURE = 0.97
_ENDING = 0.6


def bars(pixels: np.ndarray) -> float:
    """The share of a picture (h, w, 3), uint8, that lies in bars, 0 to 1.

    A bar is rows or columns of one colour up to an edge that runs along most of its length, which tells it from a
    plain background behind something.
    """
    top, bottom = _thickness(pixels), _thickness(pixels[::-1])
    across = pixels[top : len(pixels) - bottom].swapaxes(0, 1)
    left, right = _thickness(across), _thickness(across[::-1])
    height, width = pixels.shape[:2]
    return 1 - (height - top - bottom) * (width - left - right) / (height * width)


def _thickness(rows: np.ndarray) -> int:
    """How many of the first rows are a bar; at most half of them."""
    if len(rows) < 4:
        return 0
    colour = np.median(rows[0], axis=0)
    half = rows[: len(rows) // 2]
    alike = (np.abs(half.astype(np.int16) - colour.astype(np.int16)) <= TOLERANCE).all(2).mean(1)
    ends = np.flatnonzero(alike < _PURE)
    if not len(ends) or ends[0] == 0:
        return 0
    inside = min(int(ends[0]) + 1, len(half) - 1)  # one row on: the first may be mixed of both
    return int(ends[0]) if 1 - alike[inside] >= _ENDING else 0
