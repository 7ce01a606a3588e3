"""Cutting photographs to the model's shape."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from limner.core.datasets import Box
from limner.imaging.otsu import otsu

PLACES = 129
"""The most places that a box is tried at, along each side."""
SLACK = 0.005
"""Share of the subject by which places that hold it may differ and still count as equally good."""
ZOOMS = 8
"""How many sizes of a box are tried between the largest and the smallest one."""


def center_square(image: Image.Image, side: int) -> Image.Image:
    """The largest square in the middle of the picture, resized with antialiasing to side x side pixels."""
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    # Cut first: resize(box=...) would let pixels from outside the square bleed into its edge.
    middle = Image.fromarray(np.asarray(image)[top : top + edge, left : left + edge])
    return middle.resize((side, side), Image.Resampling.LANCZOS)


def size_conditioning(size: tuple[int, int], side: int) -> tuple[int, int, int, int, int, int]:
    """What `square` does to a picture of this (width, height), in the terms of SDXL (arXiv 2307.01952, section 2.2):
    its height and width, the crop's top and left in pixels of the result, the crop's height and width.
    """
    width, height = size
    scale = side / min(size)
    return height, width, round((height * scale - side) / 2), round((width * scale - side) / 2), side, side


def crop_box(size: tuple[int, int], shape: tuple[int, int], found: np.ndarray | None = None, zoom: float = 1.0) -> Box:
    """The box of a picture of this (width, height) that is to become a picture of `shape` (width, height).

    It is the largest one of that shape, put where it holds most of the subject; where several places hold as much, its
    middle is as near to the subject's as can be. found: how much each place is the subject's, (h, w) of any size, 0
    or more; without it, or where it says the same of all, the middle is taken. zoom: how many times smaller than the
    largest one the box may be, as long as it holds as much of the subject and has no fewer pixels than `shape`.
    """
    largest = _largest(size, shape)
    subject = None if found is None else _Subject(found, size)
    if subject is None or not subject.whole > 0:
        return _at((size[0] - largest[0]) // 2, (size[1] - largest[1]) // 2, largest)
    box, held = subject.best(largest)
    nearest = max(1.0, min(zoom, largest[0] / shape[0], largest[1] / shape[1]))
    for step in range(ZOOMS if nearest > 1 else 0):
        scale = nearest ** (step / ZOOMS - 1)
        smaller, holds = subject.best((max(1, round(largest[0] * scale)), max(1, round(largest[1] * scale))))
        if holds >= held - SLACK:
            return smaller
    return box


def crop_and_resize(image: Image.Image, box: Box, shape: tuple[int, int]) -> Image.Image:
    """What is in the box as a picture of `shape` (width, height), antialiased, with nothing from outside the box."""
    part = image if box == (0, 0, *image.size) else image.crop(box)
    return part if part.size == shape else part.resize(shape, Image.Resampling.LANCZOS, reducing_gap=3.0)


def upscale_factor(box: Box, shape: tuple[int, int]) -> float:
    """How many times as long the sides of `shape` (width, height) are as those of the box, the greater of both."""
    return max(shape[0] / (box[2] - box[0]), shape[1] / (box[3] - box[1]))


def _largest(size: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the largest box of a shape in a picture of this (width, height)."""
    (width, height), (across, down) = size, shape
    if width * down >= height * across:
        return min(width, max(1, round(height * across / down))), height
    return width, min(height, max(1, round(width * down / across)))


def _at(left: int, top: int, box: tuple[int, int]) -> Box:
    return left, top, left + box[0], top + box[1]


class _Subject:
    """A map of a subject in a picture of this (width, height). whole: all of the map's mass.

    What a map says faintly of much of the picture is not counted: its mass is what lies above its threshold.
    """

    def __init__(self, found: np.ndarray, size: tuple[int, int]) -> None:
        told = np.nan_to_num(found.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        mass = np.maximum(told - otsu(told), 0)
        self.size, self.whole = size, float(mass.sum())
        self._integral = np.pad(mass.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        self._middle = [
            float(axis @ (np.arange(len(axis)) + 0.5) / len(axis) / max(self.whole, 1e-300)) * side
            for axis, side in ((mass.sum(0), size[0]), (mass.sum(1), size[1]))
        ]

    def best(self, box: tuple[int, int]) -> tuple[Box, float]:
        """Where a box of this (width, height) is best, and the share of the subject that it holds there."""
        lefts, tops = (self._places(axis, box[axis]) for axis in (0, 1))
        right, left = self._across(lefts + box[0]), self._across(lefts)
        held = (self._down(right - left, tops + box[1]) - self._down(right - left, tops)) / self.whole
        away = np.hypot(
            lefts + box[0] / 2 - self._middle[0], (tops + box[1] / 2 - self._middle[1])[:, None]
        ) / math.hypot(*self.size)
        good = held >= held.max() - SLACK
        row, column = np.unravel_index(np.argmin(np.where(good, away, np.inf)), held.shape)
        return _at(int(lefts[column]), int(tops[row]), box), float(held[row, column])

    def _places(self, axis: int, side: int) -> np.ndarray:
        """Where a box of this side may begin: evenly over the picture, and where the subject would be in its middle."""
        room = self.size[axis] - side
        even = np.linspace(0, room, min(PLACES, room + 1))
        return np.unique(np.append(even, np.clip(self._middle[axis] - side / 2, 0, room)).round().astype(int))

    def _across(self, at: np.ndarray) -> np.ndarray:
        """The integral up to these columns of the picture, (rows of the map + 1, places)."""
        return _between(self._integral.T, at / self.size[0]).T

    def _down(self, columns: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Of integrals (rows of the map + 1, places), what they are at these rows of the picture: (rows, places)."""
        return _between(columns, at / self.size[1])


def _between(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rows at places from 0, the first, to 1, the last, linear between them."""
    exact = at * (len(rows) - 1)
    low = np.clip(exact.astype(int), 0, len(rows) - 2)
    part = (exact - low)[:, None]
    return rows[low] * (1 - part) + rows[low + 1] * part
