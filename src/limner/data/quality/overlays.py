"""A mark that many pictures of a set carry in the same place, such as an agency's watermark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from limner.imaging.opencv import opencv

SIDE = 192
"""All pictures are compared at this width and height."""

FEWEST = 8
"""Of fewer pictures nothing is said: they may be alike by chance."""

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
    """Where a mark is: left, top, right, bottom as shares of width and height. pictures: how many were compared.

    agreement: how much their edges there agree, 0 to 1; about the share of pictures that carry it.
    """

    box: tuple[float, float, float, float]
    agreement: float
    pictures: int


class OverlayFinder:
    """Adds up the gradients of pictures; what they share stands out, and all else cancels out.

    After Dekel, Rubinstein, Liu and Freeman 2017 (On the effectiveness of visible watermarks, section 3.1), with a
    mean of clipped gradients for their median, so that no picture need be kept. Sums are of whole numbers: the order
    of pictures, and who adds which, changes nothing. 1.2 MB, however many pictures there are.
    """

    def __init__(self) -> None:
        self.pictures = 0
        self._sums = np.zeros((4, SIDE, SIDE), np.int64)

    def add(self, small_image: Image.Image) -> None:
        """Count an RGB picture that `quality.small` gave, or any other."""
        across, down = _gradients(small_image)
        lengths = np.sqrt(across**2 + down**2).round()
        self._sums += np.stack([across, down, lengths, lengths >= _EDGE]).astype(np.int64)
        self.pictures += 1

    def merge(self, other: OverlayFinder) -> None:
        """Count what another has counted."""
        self._sums += other._sums
        self.pictures += other.pictures

    def found(self) -> SharedOverlay | None:
        """The mark that the pictures share; None where there is none, or where they share most of what they show."""
        if self.pictures < FEWEST:
            return None
        shared, edges = self._shared(), self._sums[3]
        # Where few pictures have an edge, those few agree by chance; a mark has one in all that carry it.
        there = (shared > _LEAST + _BY_CHANCE / np.sqrt(np.maximum(edges, 1))) & (edges >= _CARRYING * self.pictures)
        cv2 = opencv()
        joined = cv2.dilate(there.astype(np.uint8), np.ones((9, 9), np.uint8))
        count, labels = cv2.connectedComponents(joined)
        sizes = np.bincount(labels[there], minlength=count)
        good = (sizes >= _PIXELS) & (self._onesided(labels, there, count) <= _ONE_SIDED)
        marks = good[labels] & there
        if not marks.any() or there.mean() > _MOST:
            return None
        rows, columns = np.flatnonzero(marks.any(1)), np.flatnonzero(marks.any(0))
        low = [max(0, int(each[0]) - _MARGIN) / SIDE for each in (columns, rows)]
        high = [min(SIDE, int(each[-1]) + 1 + _MARGIN) / SIDE for each in (columns, rows)]
        return SharedOverlay((low[0], low[1], high[0], high[1]), float(np.median(shared[marks])), self.pictures)

    def _onesided(self, labels: np.ndarray, there: np.ndarray, count: int) -> np.ndarray:
        """By component, how much its gradients point one way, 0 to 1.

        A stroke has two sides, and its gradients cancel out; a horizon or a shadow, which pictures may share, has one.
        """
        across, down, lengths = (
            np.bincount(labels[there], weights[there], minlength=count)
            for weights in (*self._sums[:2], np.hypot(*self._sums[:2]))
        )
        return np.hypot(across, down) / np.maximum(lengths, 1)

    def _shared(self) -> np.ndarray:
        """By pixel, how much the gradients agree: the length of their mean over the mean of their lengths, 0 to 1."""
        across, down, lengths = self._sums[:3] / self.pictures
        mean = np.hypot(across, down)
        return np.where(mean >= _MEAN, mean / np.maximum(lengths, _MEAN), 0)


def _gradients(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Gradients (192, 192) of luma across and down in fp32, whole numbers in eighths of a level; long ones are cut.

    The frame is left out: bars and vignettes are faults of their own.
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
