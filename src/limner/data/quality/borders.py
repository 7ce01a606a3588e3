"""Finds bars of one colour around an image: letterbox, pillarbox and frames."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from limner.core.datasets import Box

TOLERANCE = 20
"""The most that a bar's pixels deviate from its colour, of 255 levels: JPEG causes ripples next to its edge."""

TIGHT = 8
"""The same for black without ripples, against which a dark image can be seen."""

_PURE = 0.97
_ENDING = 0.6
_FRAMED = 0.9
"""As `_ENDING`, of the columns between black ones: a thing before a plain background seldom fills a box."""
_MIXED = 0.9
"""A row beside a bar is mixed with it if it is nearer to the bar's colour than this part of the next row's distance."""


def border_share(pixels: np.ndarray) -> float:
    """The share of an image (h, w, 3), uint8, that is covered by bars, 0 to 1.

    A bar consists of rows or columns of one colour up to an edge along most of its length, unlike a plain background,
    and has a counterpart on the opposite side, unlike a sky.
    """
    height, width = pixels.shape[:2]
    top, bottom, left, right = _bars(pixels)
    return 1 - (height - top - bottom) * (width - left - right) / (height * width)


def box_without_bars(image: Image.Image, reduced: Image.Image) -> Box:
    """The box of an image within its bars, in its pixels. reduced: the same image, reduced, in which bars are found."""
    top, bottom, left, right = _bars(np.asarray(reduced))
    pixels = np.asarray(image)
    across, down = image.width / reduced.width, image.height / reduced.height
    top, bottom = _exact(pixels, top, down), image.height - _exact(pixels[::-1], bottom, down)
    columns = pixels[top:bottom].swapaxes(0, 1)
    return _exact(columns, left, across), top, image.width - _exact(columns[::-1], right, across), bottom


def _bars(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """The thickness of the bars at the top, bottom, left and right of an image (h, w, 3)."""
    top, bottom = _pair(pixels)
    if not top:
        left, right = _black_columns(pixels)
        top, bottom = _pair(pixels[:, left : pixels.shape[1] - right], _FRAMED) if left else (0, 0)
    return top, bottom, *_pair(pixels[top : len(pixels) - bottom].swapaxes(0, 1))


def _black_columns(pixels: np.ndarray) -> tuple[int, int]:
    """The number of first and of last columns that are black; none if only one side is black, or nearly all is."""
    black = (pixels <= TOLERANCE).all(axis=2).mean(axis=0) >= _PURE
    inside = np.flatnonzero(~black)
    if not len(inside) or not inside[0] or inside[-1] == len(black) - 1 or len(inside) < len(black) / 4:
        return 0, 0
    return int(inside[0]), len(black) - 1 - int(inside[-1])


def _exact(rows: np.ndarray, count: int, scale: float) -> int:
    """The number of first rows of an image that are a bar or mixed with it. count: of the image reduced by `scale`."""
    if not count:
        return 0
    colour = np.median(rows[0], axis=0).astype(np.int16)
    end, last = max(0, math.floor((count - 1) * scale)), min(len(rows) - 1, math.ceil((count + 1) * scale))
    while end < last and _alike(rows[end], colour) >= _PURE:
        end += 1
    while end < last and _distance(rows[end], colour) < _MIXED * _distance(rows[end + 1], colour):
        end += 1
    return end


def _distance(row: np.ndarray, colour: np.ndarray) -> float:
    """The mean distance of a row (n, 3) from a colour."""
    return float(np.abs(row.astype(np.int16) - colour).mean())


def _pair(rows: np.ndarray, ending: float = _ENDING) -> tuple[int, int]:
    """The number of first and of last rows that are bars; none if only one side has a bar.

    ending: the share of a row that must differ from the bar before it.
    """
    if len(rows) < 4 or not (_plain(rows[0]) and _plain(rows[-1])):
        return 0, 0
    first, last = _thickness(rows, ending), _thickness(rows[::-1], ending)
    return (first, last) if first and last else (0, 0)


def _plain(row: np.ndarray) -> bool:
    """Whether a row may begin a bar: a quick test that most images fail."""
    return bool((np.abs(row.astype(np.int16) - row[len(row) // 2]) <= 2 * TOLERANCE).all(1).mean() >= _PURE)


def _thickness(rows: np.ndarray, ending: float) -> int:
    """The number of first rows that are a bar, less than half of all."""
    half = rows[: len(rows) // 2]
    colour = np.median(half[0], axis=0).astype(np.int16)
    tolerance = TIGHT if _alike(half[0], np.zeros(3, np.int16), TIGHT) >= _PURE else TOLERANCE
    for end in range(len(half)):
        if _alike(half[end], colour) < _PURE:
            inside = min(end + 1, len(half) - 1)  # one row further: the first may be a mixture
            return end if 1 - _alike(half[inside], colour, tolerance) >= ending else 0
    return 0


def _alike(row: np.ndarray, colour: np.ndarray, tolerance: int = TOLERANCE) -> float:
    """The share of a row (n, 3) with a colour."""
    return float((np.abs(row.astype(np.int16) - colour) <= tolerance).all(1).mean())
