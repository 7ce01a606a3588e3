"""Estimates whether an image contains text: small shapes of one height in a row."""

from __future__ import annotations

import numpy as np
from PIL import Image

from limner.imaging.opencv import opencv

STROKE = 9
"""Lines thinner than this may be strokes of letters, in pixels of an image from `reduce_image`."""

CONTRAST = 28
"""The least contrast of text to its background, of 255 levels."""

_HEIGHTS = (4, 48)
_WIDEST = 3.0
_FILLED = (0.15, 0.95)
_SHARE = 0.5
_MOST = 2000
_HALF = 6.5
_SLOPE = 1.0
_GAP, _LEVEL = 0.8, 0.15


def text_likelihood(small_image: Image.Image) -> float:
    """The likelihood that there is text in an image from `reduce_image`, 0 to 1.

    Strokes are found by top-hat and black-hat filters. Their connected components count as letters if they have nearly
    the same height and baseline and are close together. This is only a hint: fences and rows of windows look similar,
    and text lower than about 20 pixels in an image of 512 is missed.
    """
    cv2 = opencv()
    grey = cv2.cvtColor(np.asarray(small_image), cv2.COLOR_RGB2GRAY)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (STROKE, STROKE))
    longest = max(_row(cv2.morphologyEx(grey, kind, kernel)) for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT))
    return float(1 / (1 + np.exp((_HALF - longest) / _SLOPE)))


def _row(strokes: np.ndarray) -> int:
    """The number of letters in the longest row."""
    cv2 = opencv()
    # A threshold of half the strongest stroke nearby separates letters that touch.
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
    """The longest left-to-right chain of boxes that are close, of similar height and on one base or top line."""
    order = np.argsort(left, kind="stable")
    left, top, width, height = (each[order].astype(np.float32) for each in (left, top, width, height))
    right, foot = left + width, top + height
    higher = np.maximum(height[:, None], height)
    gap = left[:, None] - right
    fits = (gap >= -2) & (gap <= _GAP * higher) & (higher <= 1.7 * np.minimum(height[:, None], height))
    apart = np.minimum(np.abs(foot[:, None] - foot), np.abs(top[:, None] - top))
    fits &= apart <= np.maximum(1, _LEVEL * higher)
    chain = np.ones(len(left), np.int32)
    for at, before in zip(
        *np.nonzero(np.tril(fits, -1)), strict=True
    ):  # row by row, so that earlier boxes are complete
        chain[at] = max(chain[at], chain[before] + 1)
    return int(chain.max(initial=0))
