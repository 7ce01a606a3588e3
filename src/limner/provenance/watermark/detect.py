"""Detects the watermark in any image."""

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
    bandpass,
    hadamard,
    luma_of,
    passband,
    resized,
    signs,
    whiten,
)

MIN_SIDE = 32
"""The shortest side of an image in which the watermark is searched, in pixels."""
CHANCE = 1e-7
"""The false positive rate per image in each of two searches: a better match is a watermark."""
PAYLOAD_MARGIN = 1.0
"""By how many standard deviations the best value of a symbol must be ahead for the payload to be reported."""
KEPT, STEP = 0.85, 3.2
"""The least share of width or height that a crop may have, and the step between crops that are tried, in cells."""
COARSE = 0.6
"""Pixels per cell below which an image is too small for a grid."""
ROTATIONS = (-1.0, -0.5, 0.5, 1.0)
"""Rotations that are tried, in degrees."""


@dataclass(frozen=True)
class DetectedWatermark:
    """A watermark that was found.

    payload: None if it cannot be read. chance: upper bound of the probability of an equal match in an image without
    watermark. mirrored: whether the image is a mirror image.
    """

    payload: int | None
    chance: float
    mirrored: bool = False


@dataclass(frozen=True)
class PayloadMatch:
    """The best payload at one position of a grid, with scores in standard deviations above chance.

    score: of the pilot pattern. symbols: of the best value of each symbol. margin: the least lead of these over the
    second best.
    """

    payload: int
    score: float
    symbols: tuple[float, ...]
    margin: float

    def chance(self, positions: int) -> float:
        """The probability of such scores by chance, the pilot pattern being the best of `positions` (Bonferroni)."""
        found = positions * tail(self.score)
        for value in self.symbols:
            found *= min(1.0, 2 * ROWS * tail(value))
        return min(1.0, max(found, 1e-30))


def tail(deviations: float) -> float:
    """The probability that a standard normal variable is greater than this."""
    return math.erfc(deviations / math.sqrt(2)) / 2


def detect(pixels: np.ndarray) -> DetectedWatermark | None:
    """The watermark in pixels (h, w, 3) uint8; None if there is none that differs from chance."""
    if min(pixels.shape[:2]) < MIN_SIDE:
        return None
    luma = luma_of(pixels)
    return detect_whole(luma) or detect_cropped(luma)


def detect_whole(luma: np.ndarray) -> DetectedWatermark | None:
    """The watermark of an uncropped image (h, w), also mirrored or rotated a little."""
    seen = [bandpass(whiten(view)) for grid in grids(luma) for view in rotated(resized(luma, grid, grid))]
    views = [(view, mirrored) for plain in seen for view, mirrored in ((plain, False), (plain[:, ::-1], True))]
    best, mirrored = max(views, key=lambda view: score(view[0]))
    return accept(decode_payload(best), len(views), mirrored)


def detect_cropped(luma: np.ndarray) -> DetectedWatermark | None:
    """The watermark of a larger image that this one (h, w), or its mirror image, was cropped from."""
    best, where, tried = 0.0, None, 0
    for grid in grids(luma):
        pilot = signs(grid, 0).reshape(grid, grid)
        pilots = [np.fft.rfft2(view) for view in (pilot, pilot[:, ::-1])]
        seen = whiten(resized(luma, grid, grid)).astype(np.float32)
        for width, height in product(sides(grid), repeat=2):
            cut = np.zeros((grid, grid), np.float32)
            cut[:height, :width] = resized(seen, width, height)
            spectrum = np.fft.rfft2(cut) * passband(grid)
            length = math.sqrt(power(spectrum)) + 1e-9
            for mirrored, pilot_spectrum in enumerate(pilots):
                scores = np.fft.irfft2(pilot_spectrum * np.conj(spectrum), s=(grid, grid))
                scores = scores[: grid - height + 1, : grid - width + 1] / length
                tried += scores.size
                if scores.max() > best:
                    best = float(scores.max())
                    where = cut, np.unravel_index(scores.argmax(), scores.shape), bool(mirrored)
    if where is None:
        return None
    cut, (top, left), mirrored = where
    placed = bandpass(np.roll(cut, (int(top), int(left)), (0, 1)))
    return accept(decode_payload(placed[:, ::-1] if mirrored else placed), tried, mirrored)


def grids(luma: np.ndarray) -> list[int]:
    """The grids for which an image (h, w) is large enough; always the smallest."""
    return [grid for grid in GRIDS if grid == GRIDS[0] or min(luma.shape) >= COARSE * grid]


def sides(grid: int) -> list[int]:
    """The sides of crops that are tried, in cells."""
    return np.rint(np.arange(grid, KEPT * grid, -STEP)).astype(int).tolist()


def accept(match: PayloadMatch, positions: int, mirrored: bool) -> DetectedWatermark | None:
    """The watermark of a match; None if it may be chance. positions: how many were searched."""
    chance = match.chance(positions)
    if chance > CHANCE:
        return None
    return DetectedWatermark(match.payload if match.margin > PAYLOAD_MARGIN else None, chance, mirrored)


def score(seen: np.ndarray) -> float:
    """The score of the pilot pattern in whitened and band-passed values, in standard deviations."""
    flat = seen.reshape(-1)
    return float(flat @ signs(seen.shape[0], 0)) / (float(np.linalg.norm(flat)) + 1e-9)


def decode_payload(seen: np.ndarray) -> PayloadMatch:
    """The best payload in whitened and band-passed values (grid, grid) that are aligned with the grid."""
    grid, flat = seen.shape[0], seen.reshape(-1)
    length = float(np.linalg.norm(flat)) + 1e-9
    payload, bests, margin = 0, [], math.inf
    for symbol in range(SYMBOLS):
        values = hadamard((flat * signs(grid, symbol + 1)).reshape(-1, ROWS).sum(axis=0)) / length
        sizes = np.abs(values)
        row = int(sizes.argmax())
        payload |= (row << 1 | int(values[row] < 0)) << (symbol * BITS)
        bests.append(float(sizes[row]))
        sizes[row] = 0
        margin = min(margin, bests[-1] - float(sizes.max()))
    return PayloadMatch(payload, score(seen), tuple(bests), margin)


def rotated(values: np.ndarray) -> list[np.ndarray]:
    """The values of a grid, unchanged and rotated by ROTATIONS."""
    whole = Image.fromarray(values.astype(np.float32))
    mean = float(values.mean())
    return [values, *(np.asarray(whole.rotate(d, Image.Resampling.BICUBIC, fillcolor=mean)) for d in ROTATIONS)]


def power(spectrum: np.ndarray) -> float:
    """The sum of squares of the real values with this Fourier transform (Parseval); their width is even."""
    squares = np.abs(spectrum) ** 2
    height, width = spectrum.shape[0], 2 * (spectrum.shape[1] - 1)
    return float((2 * squares.sum() - squares[:, 0].sum() - squares[:, -1].sum()) / (height * width))
