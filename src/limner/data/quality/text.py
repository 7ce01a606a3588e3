"""Hints of writing in a picture: small shapes of one height that stand in a row."""

from __future__ import annotations

import numpy as np
from PIL import Image

from limner.imaging.opencv import opencv

STROKE = 9
"""Lines thinner than this may be strokes of letters, in pixels of a picture that `quality.small` gave."""

CONTRAST = 28
"""How much lighter or darker than its ground writing is at least, of 255 levels."""

_HEIGHTS = (4, 48)
_WIDEST = 3.0
_FILLED = (0.15, 0.95)
_SHARE = 0.5
_MOST = 2000
_HALF = 6.5
_SLOPE = 1.0
_GAP, _LEVEL = 0.8, 0.15


def text_likelihood(small_image: Image.Image) -> float:
    """How likely it is that there is writing in a picture that `quality.small` gave, 0 to 1.

    Strokes are what a top-hat of either polarity leaves; their connected components are letters where they have much
    the same height and baseline and stand close beside each other. It is a hint: fences and rows of windows look so,
    and what is lower than some 20 pixels in a picture of 512 is not seen.
    """
    cv2 = opencv()
    grey = cv2.cvtColor(np.asarray(small_image), cv2.COLOR_RGB2GRAY)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (STROKE, STROKE))
    longest = max(_row(cv2.morphologyEx(grey, kind, kernel)) for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT))
    return float(1 / (1 + np.exp((_HALF - longest) / _SLOPE)))


def _row(strokes: np.ndarray) -> int:
    """How many letters the longest row of them has."""
    cv2 = opencv()
    # Half of the strongest stroke nearby parts letters that blend into each other.
    around = cv2.dilate(strokes, np.ones((5, 5), np.uint8))
    mask = ((strokes >= CONTRAST) & (strokes >= _SHARE * around)).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if count - 1 > _MOST:
        return 0
    left, top, width, height, area = stats[1:].T
    filled = area / (width * height)
    good = (height >= _HEIGHTS[0]) & (height <= _HEIGHTS[1]) & (width <= _WIDEST * height)
    good &= (filled >= _FILLED[0]) & (filled <= _FILLED[1])
    return _longest(left[good], top[good], width[good], height[good])


def _longest(left: np.ndarray, top: np.ndarray, width: np.ndarray, height: np.ndarray) -> int:
    """The most boxes in a chain from left to right, each close to the next, of like height, with one foot or head."""
    order = np.argsort(left, kind="stable")
    left, top, width, height = (each[order].astype(np.float32) for each in (left, top, width, height))
    right, foot = left + width, top + height
    higher = np.maximum(height[:, None], height)
    gap = left[:, None] - right
    fits = (gap >= -2) & (gap <= _GAP * higher) & (higher <= 1.7 * np.minimum(height[:, None], height))
    apart = np.minimum(np.abs(foot[:, None] - foot), np.abs(top[:, None] - top))
    fits &= apart <= np.maximum(1, _LEVEL * higher)
    chain = np.ones(len(left), np.int32)
    for at, before in zip(*np.nonzero(np.tril(fits, -1)), strict=True):  # row by row, so that what is before is done
        chain[at] = max(chain[at], chain[before] + 1)
    return int(chain.max(initial=0))
