"""The pattern of the watermark: the sum of three patterns on a square grid over the whole image.

Spread spectrum (Cox et al. 1997, "Secure spread spectrum watermarking for multimedia"): the pilot pattern is always the
same and shows that there is a watermark; each of the two others is one of 2^14 orthogonal patterns, or its negative,
and carries 15 bits of the payload. The grid is stretched over the image, so resizing does not move it. The patterns are
public: anyone who has Limner can detect the watermark.
"""

from __future__ import annotations

from functools import cache
from hashlib import shake_256

import numpy as np
from PIL import Image

GRIDS = (128, 256)
"""Sides of the grid in cells, for images below and from 512 px; a larger grid has a finer, less visible grain."""
SYMBOLS = 2
BITS = 15
"""Bits per symbol: 14 choose a row of a Hadamard matrix, the last one its sign."""
PAYLOADS = 2 ** (SYMBOLS * BITS)
"""Payloads are numbers below this."""
ROWS = 2 ** (BITS - 1)
BAND = (0.16, 0.38)
"""Frequencies of the patterns in cycles per cell: lower ones are shapes of the image, resizing removes higher ones."""
PEAK = 2.5
CLIP = 2.0
"""The most that one cell may count in detection, in standard deviations."""


@cache
def signs(grid: int, which: int) -> np.ndarray:
    """The pilot pattern (0), or the one that scrambles a symbol (1, 2): (grid * grid) of -1 and 1."""
    raw = shake_256(f"limner mark 1, grid {grid}, pattern {which}".encode()).digest(grid * grid // 8)
    return np.where(np.unpackbits(np.frombuffer(raw, np.uint8)), np.float32(-1), np.float32(1))


@cache
def passband(grid: int) -> np.ndarray:
    """Mask of the frequencies of a real Fourier transform that the patterns contain."""
    radius = np.hypot(np.fft.fftfreq(grid)[:, None], np.fft.rfftfreq(grid)[None])
    return (radius > BAND[0]) & (radius < BAND[1])


def bandpass(values: np.ndarray) -> np.ndarray:
    """The part of a grid's values in the passband; (grid, grid)."""
    grid = values.shape[0]
    return np.fft.irfft2(np.fft.rfft2(values) * passband(grid), s=(grid, grid))


def pattern_of(grid: int, payload: int) -> np.ndarray:
    """The sum of the three patterns for a payload, with standard deviation 1 and clipped peaks; (grid, grid)."""
    total = bandpass(signs(grid, 0).reshape(grid, grid))
    for symbol in range(SYMBOLS):
        value = payload >> (symbol * BITS) & (2**BITS - 1)
        row = hadamard_row(value >> 1) * (-1.0 if value & 1 else 1.0)
        total = total + bandpass((signs(grid, symbol + 1) * np.resize(row, grid * grid)).reshape(grid, grid))
    return np.clip(total / total.std(), -PEAK, PEAK)


def hadamard_row(index: int) -> np.ndarray:
    """A row of the Hadamard matrix of side ROWS: the parity of the common bits of index and column, as -1 and 1."""
    shared = np.arange(ROWS, dtype=np.uint32) & np.uint32(index)
    for shift in (16, 8, 4, 2, 1):
        shared ^= shared >> np.uint32(shift)
    return 1.0 - 2.0 * (shared & 1)


def hadamard(values: np.ndarray) -> np.ndarray:
    """The Hadamard matrix times a vector (ROWS), by the fast transform."""
    width = 1
    while width < ROWS:
        pairs = values.reshape(-1, 2, width)
        values = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1)
        width *= 2
    return values.reshape(-1)


def luma_of(pixels: np.ndarray) -> np.ndarray:
    """Luma (h, w) float32 of pixels (h, w, 3), as in JPEG (ITU-R BT.601)."""
    return pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def resized(values: np.ndarray, width: int, height: int) -> np.ndarray:
    """Values (h, w) at another size: cell means when reducing by 2 or more, otherwise Lanczos."""
    kind = Image.Resampling.BOX if min(values.shape) >= 2 * max(width, height) else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize((width, height), kind))


def local_mean(values: np.ndarray, reach: int) -> np.ndarray:
    """The mean of the square of side 2 * reach + 1 around each value, mirrored at the border."""
    side = 2 * reach + 1
    total = np.pad(np.cumsum(np.pad(values, reach, mode="reflect"), axis=0, dtype=np.float64), ((1, 0), (0, 0)))
    total = total[side:] - total[:-side]
    total = np.pad(np.cumsum(total, axis=1), ((0, 0), (1, 0)))
    return (total[:, side:] - total[:, :-side]) / side**2


def whiten(values: np.ndarray) -> np.ndarray:
    """Each cell's difference from its neighbours over the local variation, so that edges do not hide the watermark."""
    new = values - local_mean(values, 1)
    spread = np.sqrt(np.maximum(local_mean(new * new, 2), 0)) + 1.0
    return np.clip(new / spread, -CLIP, CLIP) / np.sqrt(spread)
