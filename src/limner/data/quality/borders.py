"""Bars of one colour around a picture: letterbox, pillarbox and frames."""

from __future__ import annotations

import numpy as np

TOLERANCE = 20
"""How far, of 255 levels, a bar's pixels may be from its colour: JPEG leaves ripples beside its edge."""

_PURE = 0.97
_ENDING = 0.6


def border_share(pixels: np.ndarray) -> float:
    """The share of a picture (h, w, 3), uint8, that lies in bars, 0 to 1.

    A bar is rows or columns of one colour up to an edge that runs along most of its length, which tells it from a
    plain background behind something; one has its like on the opposite side, which tells it from a sky.
    """
    height, width = pixels.shape[:2]
    top, bottom = _pair(pixels)
    left, right = _pair(pixels[top : height - bottom].swapaxes(0, 1))
    return 1 - (height - top - bottom) * (width - left - right) / (height * width)


def _pair(rows: np.ndarray) -> tuple[int, int]:
    """How many of the first and of the last rows are bars; none where only one side has one."""
    if len(rows) < 4 or not (_plain(rows[0]) and _plain(rows[-1])):
        return 0, 0
    first, last = _thickness(rows), _thickness(rows[::-1])
    return (first, last) if first and last else (0, 0)


def _plain(row: np.ndarray) -> bool:
    """Whether a row may begin a bar: a quick look that spares most pictures the rest."""
    return bool((np.abs(row.astype(np.int16) - row[len(row) // 2]) <= 2 * TOLERANCE).all(1).mean() >= _PURE)


def _thickness(rows: np.ndarray) -> int:
    """How many of the first rows are a bar; less than half of them."""
    half = rows[: len(rows) // 2]
    colour = np.median(half[0], axis=0).astype(np.int16)
    for end in range(len(half)):
        if _alike(half[end], colour) < _PURE:
            inside = min(end + 1, len(half) - 1)  # one row on: the first may be mixed of both
            return end if 1 - _alike(half[inside], colour) >= _ENDING else 0
    return 0


def _alike(row: np.ndarray, colour: np.ndarray) -> float:
    """The share of a row (n, 3) that has a colour."""
    return float((np.abs(row.astype(np.int16) - colour) <= TOLERANCE).all(1).mean())
