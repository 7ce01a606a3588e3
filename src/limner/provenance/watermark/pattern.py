"""What the mark is made of: three patterns on a square grid over the whole picture.

Spread spectrum (Cox et al. 1997, "Secure spread spectrum watermarking for multimedia"): one pattern is always the same
and says that there is a mark; each of the two others is one of 2^14 orthogonal ones, or its negative, and carries 15
bits. The grid is stretched over the picture, so resizing does not move it. The patterns are public: anyone who has
Limner can look for the mark.
"""

from __future__ import annotations

from functools import cache
from hashlib import shake_256

import numpy as np
from PIL import Image

GRIDS = (128, 256)
"""Sides of the grid in cells, for pictures up to and from 512 px; a larger one has a finer, less visible grain."""
SYMBOLS = 2
BITS = 15
"""Of each symbol: 14 choose a row of a Hadamard matrix, the last one its sign."""
NAMES = 2 ** (SYMBOLS * BITS)
ROWS = 2 ** (BITS - 1)
BAND = (0.16, 0.38)
"""Cycles a cell that the patterns hold: below are the shapes of the picture, above is what resizing takes away."""
PEAK = 2.5
CLIP = 2.0
"""The most that one cell may say of a picture, in standard deviations."""


@cache
def signs(grid: int, which: int) -> np.ndarray:
    """Pattern 0 is the one that is always there, 1 and 2 scramble a symbol: (grid * grid) of -1 and 1."""
    raw = shake_256(f"limner mark 1, grid {grid}, pattern {which}".encode()).digest(grid * grid // 8)
    return np.where(np.unpackbits(np.frombuffer(raw, np.uint8)), np.float32(-1), np.float32(1))


@cache
def passed(grid: int) -> np.ndarray:
    """Which frequencies of a real Fourier transform the patterns hold."""
    radius = np.hypot(np.fft.fftfreq(grid)[:, None], np.fft.rfftfreq(grid)[None])
    return (radius > BAND[0]) & (radius < BAND[1])


def banded(values: np.ndarray) -> np.ndarray:
    """The part of a grid's values that lies in the band; (grid, grid)."""
    grid = values.shape[0]
    return np.fft.irfft2(np.fft.rfft2(values) * passed(grid), s=(grid, grid))


def patterns(grid: int, name: int) -> np.ndarray:
    """The sum of the three patterns for a name below NAMES, of standard deviation 1, its peaks cut; (grid, grid)."""
    total = banded(signs(grid, 0).reshape(grid, grid))
    for symbol in range(SYMBOLS):
        value = name >> (symbol * BITS) & (2**BITS - 1)
        row = hadamard_row(value >> 1) * (-1.0 if value & 1 else 1.0)
        total = total + banded((signs(grid, symbol + 1) * np.resize(row, grid * grid)).reshape(grid, grid))
    return np.clip(total / total.std(), -PEAK, PEAK)


def hadamard_row(index: int) -> np.ndarray:
    """A row of the Hadamard matrix of side ROWS: the parity of the bits that index and column share, as -1 and 1."""
    shared = np.arange(ROWS, dtype=np.uint32) & np.uint32(index)
    for shift in (16, 8, 4, 2, 1):
        shared ^= shared >> np.uint32(shift)
    return 1.0 - 2.0 * (shared & 1)


def hadamard(values: np.ndarray) -> np.ndarray:
    """All rows of the Hadamard matrix times a vector (ROWS), by the fast transform."""
    width = 1
    while width < ROWS:
        pairs = values.reshape(-1, 2, width)
        values = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1)
        width *= 2
    return values.reshape(-1)


def brightness(pixels: np.ndarray) -> np.ndarray:
    """Luma (h, w) float32 of pixels (h, w, 3), as JPEG has it (ITU-R BT.601)."""
    return pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def resized(values: np.ndarray, width: int, height: int) -> np.ndarray:
    """Values (h, w) at another size: the mean of what falls into a cell, or smoothly between."""
    kind = Image.Resampling.BOX if min(values.shape) >= 2 * max(width, height) else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize((width, height), kind))


def mean_around(values: np.ndarray, reach: int) -> np.ndarray:
    """The mean of the square of side 2 * reach + 1 around each value, mirrored at the border."""
    side = 2 * reach + 1
    total = np.pad(np.cumsum(np.pad(values, reach, mode="reflect"), axis=0, dtype=np.float64), ((1, 0), (0, 0)))
    total = total[side:] - total[:-side]
    total = np.pad(np.cumsum(total, axis=1), ((0, 0), (1, 0)))
    return (total[:, side:] - total[:, :-side]) / side**2


def whitened(values: np.ndarray) -> np.ndarray:
    """What is new in each cell, weighed by how little else happens around it, so that edges do not drown the mark."""
    new = values - mean_around(values, 1)
    spread = np.sqrt(np.maximum(mean_around(new * new, 2), 0)) + 1.0
    return np.clip(new / spread, -CLIP, CLIP) / np.sqrt(spread)
