"""Looking for the mark in any picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from PIL import Image

from limner.provenance.watermark.pattern import (
    BITS,
    GRIDS,
    ROWS,
    SYMBOLS,
    banded,
    brightness,
    hadamard,
    passed,
    resized,
    signs,
    whitened,
)

FEWEST = 32
"""The shortest side of a picture in which the mark is looked for, in pixels."""
CHANCE = 1e-7
"""A mark is found where chance alone would show one as good in fewer pictures than this, in each of two searches."""
TOLD = 1.0
"""By how much the best of a symbol's values must beat the next, in standard deviations, for the name to be told."""
KEPT, STEP = 0.85, 3.2
"""The least part of a picture's width or height that may be left of it, and the cells between two that are tried."""
COARSE = 0.6
"""Pixels a cell below which a picture is too small for a grid."""
TURNS = (-1.0, -0.5, 0.5, 1.0)
"""Degrees by which a picture may have been turned, as they are tried."""


@dataclass(frozen=True)
class DetectedWatermark:
    """A mark that was found. name: what it says, None where that is lost.

    chance: at most how probable it is to find one as good in a picture without one.
    """

    name: int | None
    chance: float
    mirrored: bool = False


@dataclass(frozen=True)
class Reading:
    """What lies at one place of a grid: its name, and standard deviations above chance.

    score: of the pattern that is always there. symbols: of the best value of each symbol. margin: by how much these
    beat the next ones.
    """

    name: int
    score: float
    symbols: tuple[float, ...]
    margin: float

    def chance(self, places: int) -> float:
        """How probable it is that chance shows as much somewhere, the first pattern being at its best of `places`."""
        found = places * tail(self.score)
        for value in self.symbols:
            found *= min(1.0, 2 * ROWS * tail(value))
        return min(1.0, max(found, 1e-30))


def tail(deviations: float) -> float:
    """How probable it is that a standard normal variable is as great."""
    return math.erfc(deviations / math.sqrt(2)) / 2


def detect(pixels: np.ndarray) -> DetectedWatermark | None:
    """The mark of a picture (h, w, 3) uint8; None where there is none, or none that can be told from chance."""
    if min(pixels.shape[:2]) < FEWEST:
        return None
    luma = brightness(pixels)
    return straight(luma) or searched(luma)


def straight(luma: np.ndarray) -> DetectedWatermark | None:
    """The mark where it lies over the whole picture (h, w), as it is, mirrored, or turned a little."""
    seen = [banded(whitened(view)) for grid in grids(luma) for view in turned(resized(luma, grid, grid))]
    views = [(view, mirrored) for plain in seen for view, mirrored in ((plain, False), (plain[:, ::-1], True))]
    best, mirrored = max(views, key=lambda view: score(view[0]))
    return told(decoded(best), len(views), mirrored)


def searched(luma: np.ndarray) -> DetectedWatermark | None:
    """The mark of a larger picture that this one (h, w), or its mirror image, was cut from."""
    best, where, tried = 0.0, None, 0
    for grid in grids(luma):
        pilot = signs(grid, 0).reshape(grid, grid)
        pilots = [np.fft.rfft2(view) for view in (pilot, pilot[:, ::-1])]
        seen = whitened(resized(luma, grid, grid)).astype(np.float32)
        for width, height in product(sides(grid), repeat=2):
            cut = np.zeros((grid, grid), np.float32)
            cut[:height, :width] = resized(seen, width, height)
            waves = np.fft.rfft2(cut) * passed(grid)
            length = math.sqrt(power(waves)) + 1e-9
            for mirrored, waves_of_pilot in enumerate(pilots):
                scores = np.fft.irfft2(waves_of_pilot * np.conj(waves), s=(grid, grid))
                scores = scores[: grid - height + 1, : grid - width + 1] / length
                tried += scores.size
                if scores.max() > best:
                    best = float(scores.max())
                    where = cut, np.unravel_index(scores.argmax(), scores.shape), bool(mirrored)
    if where is None:
        return None
    cut, (top, left), mirrored = where
    placed = banded(np.roll(cut, (int(top), int(left)), (0, 1)))
    return told(decoded(placed[:, ::-1] if mirrored else placed), tried, mirrored)


def grids(luma: np.ndarray) -> list[int]:
    """The grids that a picture (h, w) is large enough for, the smallest at least."""
    return [grid for grid in GRIDS if grid == GRIDS[0] or min(luma.shape) >= COARSE * grid]


def sides(grid: int) -> list[int]:
    """How many cells of a side are left of it, as they are tried."""
    return np.rint(np.arange(grid, KEPT * grid, -STEP)).astype(int).tolist()


def told(reading: Reading, places: int, mirrored: bool) -> DetectedWatermark | None:
    """A reading as what is told of it, where it is none of chance; places: how many there were to find it in."""
    chance = reading.chance(places)
    if chance > CHANCE:
        return None
    return DetectedWatermark(reading.name if reading.margin > TOLD else None, chance, mirrored)


def score(seen: np.ndarray) -> float:
    """How much of the pattern that is always there is in what was whitened and banded, in standard deviations."""
    flat = seen.reshape(-1)
    return float(flat @ signs(seen.shape[0], 0)) / (float(np.linalg.norm(flat)) + 1e-9)


def decoded(seen: np.ndarray) -> Reading:
    """What is read where that, (grid, grid), lies as the patterns do."""
    grid, flat = seen.shape[0], seen.reshape(-1)
    length = float(np.linalg.norm(flat)) + 1e-9
    name, bests, margin = 0, [], math.inf
    for symbol in range(SYMBOLS):
        values = hadamard((flat * signs(grid, symbol + 1)).reshape(-1, ROWS).sum(axis=0)) / length
        sizes = np.abs(values)
        row = int(sizes.argmax())
        name |= (row << 1 | int(values[row] < 0)) << (symbol * BITS)
        bests.append(float(sizes[row]))
        sizes[row] = 0
        margin = min(margin, bests[-1] - float(sizes.max()))
    return Reading(name, score(seen), tuple(bests), margin)


def turned(values: np.ndarray) -> list[np.ndarray]:
    """The grid's values as they are, and turned by a few degrees."""
    whole = Image.fromarray(values.astype(np.float32))
    mean = float(values.mean())
    return [values, *(np.asarray(whole.rotate(d, Image.Resampling.BICUBIC, fillcolor=mean)) for d in TURNS)]


def power(waves: np.ndarray) -> float:
    """The sum of the squares of the real values whose Fourier transform this is (Parseval); the width is even."""
    squares = np.abs(waves) ** 2
    height, width = waves.shape[0], 2 * (waves.shape[1] - 1)
    return float((2 * squares.sum() - squares[:, 0].sum() - squares[:, -1].sum()) / (height * width))
