"""Crops images to an aspect ratio, at the centre or around the subject."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from limner.core.datasets import Box
from limner.imaging.luminance import otsu

POSITIONS = 129
"""The most positions of the box that are tried, along each side."""
SLACK = 0.005
"""Positions whose shares of the subject differ by at most this count as equally good."""


def center_square(image: Image.Image, side: int) -> Image.Image:
    """The largest square at the centre of the image, resized with antialiasing to side x side pixels."""
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    # Crop first: resize(box=...) would mix pixels from outside the square into its edge.
    middle = Image.fromarray(np.asarray(image)[top : top + edge, left : left + edge])
    return middle.resize((side, side), Image.Resampling.LANCZOS)


def size_conditioning(size: tuple[int, int], side: int) -> tuple[int, int, int, int, int, int]:
    """The size and crop conditioning of SDXL (arXiv 2307.01952, section 2.2) for `center_square`.

    size: (width, height) of the image. Returns its height and width, the top and left of the crop in pixels of the
    result, and the height and width of the crop.
    """
    width, height = size
    scale = side / min(size)
    return height, width, round((height * scale - side) / 2), round((width * scale - side) / 2), side, side


def fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The largest centred crop with the aspect ratio of `size` (width, height), resized to it."""
    if image.size == size:
        return image
    scale = max(size[0] / image.width, size[1] / image.height)
    width, height = size[0] / scale, size[1] / scale
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return image.resize(size, Image.Resampling.LANCZOS, box=(left, top, left + width, top + height))


def crop_box(size: tuple[int, int], shape: tuple[int, int], found: np.ndarray | None = None) -> Box:
    """The box of an image of this (width, height) to crop and resize to `shape` (width, height).

    The largest box with the aspect ratio of `shape`, positioned to contain most of the subject; of equal positions the
    one whose centre is nearest to the subject's. found: a map (h, w) of any size, 0 or more, of where the subject is;
    without it, or if it is constant, the box is centred.
    """
    largest = _largest(size, shape)
    subject = None if found is None else _SubjectMap(found, size)
    if subject is None or not subject.whole > 0:
        return _at((size[0] - largest[0]) // 2, (size[1] - largest[1]) // 2, largest)
    return subject.best(largest)


def crop_and_resize(image: Image.Image, box: Box, shape: tuple[int, int]) -> Image.Image:
    """The box of an image, resized with antialiasing to `shape` (width, height); no pixel outside the box is used."""
    part = image if box == (0, 0, *image.size) else image.crop(box)
    return part if part.size == shape else part.resize(shape, Image.Resampling.LANCZOS, reducing_gap=3.0)


def upscale_factor(box: Box, shape: tuple[int, int]) -> float:
    """The factor by which a box is enlarged to `shape` (width, height); the greater one of both sides."""
    return max(shape[0] / (box[2] - box[0]), shape[1] / (box[3] - box[1]))


def _largest(size: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) of the largest box with the aspect ratio of `shape` in an image of this (width, height)."""
    (width, height), (across, down) = size, shape
    if width * down >= height * across:
        return min(width, max(1, round(height * across / down))), height
    return width, min(height, max(1, round(width * down / across)))


def _at(left: int, top: int, box: tuple[int, int]) -> Box:
    return left, top, left + box[0], top + box[1]


class _SubjectMap:
    """A map of the subject in an image of this (width, height). whole: the sum of the map above Otsu's threshold.

    Values below the threshold do not count, so that a faint response over much of the image has no influence.
    """

    def __init__(self, found: np.ndarray, size: tuple[int, int]) -> None:
        values = np.nan_to_num(found.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        mass = np.maximum(values - otsu(values), 0)
        self.size, self.whole = size, float(mass.sum())
        self._integral = np.pad(mass.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        self._middle = [
            float(axis @ (np.arange(len(axis)) + 0.5) / len(axis) / max(self.whole, 1e-300)) * side
            for axis, side in ((mass.sum(0), size[0]), (mass.sum(1), size[1]))
        ]

    def best(self, box: tuple[int, int]) -> Box:
        """The best position of a box of this (width, height)."""
        lefts, tops = (self._positions(axis, box[axis]) for axis in (0, 1))
        right, left = self._across(lefts + box[0]), self._across(lefts)
        held = (self._down(right - left, tops + box[1]) - self._down(right - left, tops)) / self.whole
        away = np.hypot(
            lefts + box[0] / 2 - self._middle[0], (tops + box[1] / 2 - self._middle[1])[:, None]
        ) / math.hypot(*self.size)
        good = held >= held.max() - SLACK
        row, column = np.unravel_index(np.argmin(np.where(good, away, np.inf)), held.shape)
        return _at(int(lefts[column]), int(tops[row]), box)

    def _positions(self, axis: int, side: int) -> np.ndarray:
        """Start positions of a box of this side: evenly spaced, and the one that centres the subject."""
        room = self.size[axis] - side
        even = np.linspace(0, room, min(POSITIONS, room + 1))
        return np.unique(np.append(even, np.clip(self._middle[axis] - side / 2, 0, room)).round().astype(int))

    def _across(self, at: np.ndarray) -> np.ndarray:
        """The integral up to these columns of the image, (rows of the map + 1, positions)."""
        return _between(self._integral.T, at / self.size[0]).T

    def _down(self, columns: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Integrals (rows of the map + 1, positions) at these rows of the image: (rows, positions)."""
        return _between(columns, at / self.size[1])


def _between(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rows interpolated linearly at positions from 0, the first, to 1, the last."""
    exact = at * (len(rows) - 1)
    low = np.clip(exact.astype(int), 0, len(rows) - 2)
    part = (exact - low)[:, None]
    return rows[low] * (1 - part) + rows[low + 1] * part
