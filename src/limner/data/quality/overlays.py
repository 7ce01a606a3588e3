"""Finds an overlay that many images of a dataset share in one position, such as the watermark of an agency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from limner.imaging.opencv import opencv

SIDE = 192
"""All images are compared at this width and height."""

MIN_IMAGES = 8
"""The least number of images; fewer may be similar by chance."""

_STRONGEST = 24
_LEAST = 0.3
_BY_CHANCE = 2.0
_MEAN = 24.0
_EDGE = 8.0
_CARRYING = 0.5
_ONE_SIDED = 0.4
_PIXELS = 24
_MOST = 0.25
_MARGIN = 3


@dataclass(frozen=True, slots=True)
class SharedOverlay:
    """A shared overlay.

    box: left, top, right, bottom as shares of width and height. agreement: of the edges there, 0 to 1; about the share
    of images with the overlay. images: how many were compared.
    """

    box: tuple[float, float, float, float]
    agreement: float
    images: int


class OverlayFinder:
    """Adds up the gradients of images: shared ones accumulate, all others cancel out.

    After Dekel, Rubinstein, Liu and Freeman 2017 (On the effectiveness of visible watermarks, section 3.1), but with
    the mean of clipped gradients instead of the median, so that images need not be stored. Sums are integers, so the
    order of the images does not matter. Uses 1.2 MB for any number of images.
    """

    def __init__(self) -> None:
        self.images = 0
        self._sums = np.zeros((4, SIDE, SIDE), np.int64)

    def add(self, small_image: Image.Image) -> None:
        """Add an RGB image of any size, such as one from `reduce_image`."""
        across, down = _gradients(small_image)
        lengths = np.sqrt(across**2 + down**2).round()
        self._sums += np.stack([across, down, lengths, lengths >= _EDGE]).astype(np.int64)
        self.images += 1

    def found(self) -> SharedOverlay | None:
        """The overlay that the images share; None if there is none, or if most of their content is the same."""
        if self.images < MIN_IMAGES:
            return None
        shared, edges = self._shared(), self._sums[3]
        # If few images have an edge somewhere, these agree by chance; an overlay has edges in all images with it.
        there = (shared > _LEAST + _BY_CHANCE / np.sqrt(np.maximum(edges, 1))) & (edges >= _CARRYING * self.images)
        cv2 = opencv()
        joined = cv2.dilate(there.astype(np.uint8), np.ones((9, 9), np.uint8))
        count, labels = cv2.connectedComponents(joined)
        sizes = np.bincount(labels[there], minlength=count)
        good = (sizes >= _PIXELS) & (self._one_sided(labels, there, count) <= _ONE_SIDED)
        marks = good[labels] & there
        if not marks.any() or there.mean() > _MOST:
            return None
        rows, columns = np.flatnonzero(marks.any(1)), np.flatnonzero(marks.any(0))
        low = [max(0, int(each[0]) - _MARGIN) / SIDE for each in (columns, rows)]
        high = [min(SIDE, int(each[-1]) + 1 + _MARGIN) / SIDE for each in (columns, rows)]
        return SharedOverlay((low[0], low[1], high[0], high[1]), float(np.median(shared[marks])), self.images)

    def _one_sided(self, labels: np.ndarray, there: np.ndarray, count: int) -> np.ndarray:
        """The share of a component's gradients that point in one direction, 0 to 1.

        A stroke has two sides whose gradients cancel out; a horizon or shadow, which images may share, has one.
        """
        across, down, lengths = (
            np.bincount(labels[there], weights[there], minlength=count)
            for weights in (*self._sums[:2], np.hypot(*self._sums[:2]))
        )
        return np.hypot(across, down) / np.maximum(lengths, 1)

    def _shared(self) -> np.ndarray:
        """The agreement of gradients by pixel: the length of their mean over the mean of their lengths, 0 to 1."""
        across, down, lengths = self._sums[:3] / self.images
        mean = np.hypot(across, down)
        return np.where(mean >= _MEAN, mean / np.maximum(lengths, _MEAN), 0)


def _gradients(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Gradients (192, 192) of luma in x and y, fp32 integers in eighths of a level; long ones are clipped.

    The frame is 0: bars and vignettes are other faults.
    """
    cv2 = opencv()
    grey = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, x, 1 - x, ksize=3) for x in (1, 0))
    lengths = np.sqrt(across**2 + down**2)
    cut = np.minimum(1, 8 * _STRONGEST / np.maximum(lengths, 1))
    inside = np.zeros_like(cut)
    inside[2:-2, 2:-2] = 1
    return np.rint(across * cut * inside), np.rint(down * cut * inside)
