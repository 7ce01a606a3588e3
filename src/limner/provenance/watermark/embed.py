"""Embeds the watermark, as weakly as a test with resizing and JPEG compression allows."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO

import numpy as np
from PIL import Image

from limner.imaging.decode import open_stored
from limner.provenance.watermark.detect import decode_payload
from limner.provenance.watermark.pattern import (
    GRIDS,
    PAYLOADS,
    bandpass,
    local_mean,
    luma_of,
    pattern_of,
    resized,
    whiten,
)

MIN_SIDE = 128
"""The shortest side of an image that gets a watermark, in pixels; smaller ones have no room for it."""
HALVED = 256
"""From this side on the watermark must also survive resizing to half the size."""
STRENGTHS = {False: (0.7, 1.0, 1.4), True: (0.7, 1.0, 1.4, 2.0, 2.8)}
"""Strengths that are tried, in order: for small images and parts of images (False), and for the others."""
FLAT, TEXTURED, MAX_STRENGTH = 0.5, 0.07, 2.2
"""Amplitude in levels of 255 at strength 1: in flat areas, more per level of local deviation, and at most."""
SPARE = 1e-12
"""The greatest probability of chance at which the watermark passes the test."""
MARGIN = 1.5
"""By how many standard deviations its payload must be ahead of the next one in the test."""


def payload_for(pixels: np.ndarray) -> int:
    """The payload for an image: 30 bits of the hash of its pixels (h, w, 3) uint8 without watermark."""
    return int.from_bytes(sha256(pixels.tobytes()).digest()[:8]) % PAYLOADS


def embed(pixels: np.ndarray, payload: int, where: np.ndarray | None = None) -> np.ndarray:
    """The pixels (h, w, 3) uint8 with a watermark; deterministic.

    where: (h, w) uint8; white pixels get the watermark, black ones stay unchanged. An image with a side below MIN_SIDE
    is returned as it is. If no strength survives the test, the greatest one is used.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_SIDE:
        return pixels
    luma = luma_of(pixels)
    grid = grid_of(width, height)
    wave = np.asarray(
        Image.fromarray((amplitudes(luma, grid) * pattern_of(grid, payload)).astype(np.float32)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
    )
    if where is not None:
        wave = wave * (where / np.float32(255))
    marked = pixels
    for strength in STRENGTHS[min(height, width) >= HALVED and where is None]:
        marked = np.clip(np.rint(pixels + (strength * wave)[..., None]), 0, 255).astype(np.uint8)
        if survives(marked, grid, payload):
            break
    return marked


def grid_of(width: int, height: int) -> int:
    """The side of the grid for an image of this size."""
    return GRIDS[min(width, height) >= 4 * GRIDS[0]]


def amplitudes(luma: np.ndarray, grid: int) -> np.ndarray:
    """How much each cell may change, in levels: more where texture hides it."""
    mean, square = resized(luma, grid, grid), resized(luma * luma, grid, grid)
    fine = np.maximum(square - mean * mean, 0)  # variance inside a cell
    new = mean - local_mean(mean, 2)
    spread = np.sqrt(local_mean(fine, 1) + np.maximum(local_mean(new * new, 1), 0))
    return np.minimum(FLAT + TEXTURED * local_minimum(spread), MAX_STRENGTH)


def local_minimum(values: np.ndarray) -> np.ndarray:
    """The least value within two cells to each side, because an edge hides nothing in the flat area next to it."""
    padded = np.pad(values, 2, mode="edge")
    shifts = ((0, 2), (4, 2), (2, 0), (2, 4), (2, 2))
    height, width = values.shape
    return np.min([padded[y : y + height, x : x + width] for y, x in shifts], axis=0)


def survives(pixels: np.ndarray, grid: int, payload: int) -> bool:
    """Whether the watermark is detected with a margin after JPEG, and from HALVED pixels on after halving the size."""
    image = Image.fromarray(pixels)
    if min(image.size) >= HALVED:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    file = BytesIO()
    image.save(file, "JPEG", quality=75)
    compressed = np.asarray(open_stored(file.getvalue()).convert("RGB"))
    found = decode_payload(bandpass(whiten(resized(luma_of(compressed), grid, grid))))
    return found.payload == payload and found.margin > MARGIN and found.chance(positions=1) < SPARE
