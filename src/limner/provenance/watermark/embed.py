"""Putting the mark into a picture: as weak as a rehearsal of what a picture goes through allows."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO

import numpy as np
from PIL import Image

from limner.provenance.watermark.detect import decoded
from limner.provenance.watermark.pattern import (
    GRIDS,
    NAMES,
    banded,
    brightness,
    mean_around,
    patterns,
    resized,
    whitened,
)

MIN_SIDE = 128
"""The shortest side of a picture that is marked, in pixels; a smaller one has no room for it."""
HALVED = 256
"""From this side on the mark must live through resizing by half, too."""
STRENGTHS = {False: (0.7, 1.0, 1.4), True: (0.7, 1.0, 1.4, 2.0, 2.8)}
"""What is tried, in order: for small pictures and parts of pictures, and for those that must live through more."""
FLAT, TEXTURED, MOST = 0.5, 0.07, 2.2
"""Levels of 255 at strength 1: where nothing happens, how many more by the spread around, and the most."""
SPARE = 1e-12
"""How improbable by chance the mark must be in the rehearsal."""
MARGIN = 1.5
"""By how much, in standard deviations, its name must be the best there."""


def payload_for(pixels: np.ndarray) -> int:
    """What a picture's mark says: 30 bits that name it, from the pixels (h, w, 3) uint8 before they are marked."""
    return int.from_bytes(sha256(pixels.tobytes()).digest()[:8]) % NAMES


def embed(pixels: np.ndarray, name: int, where: np.ndarray | None = None) -> np.ndarray:
    """The picture (h, w, 3) uint8 with a mark; the same one always gives the same.

    where: (h, w) uint8, the mark lies where it is white, and black pixels keep their bits. A picture with a side below
    LEAST is given back as it is. Where no strength lives through the rehearsal, the greatest is used.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_SIDE:
        return pixels
    luma = brightness(pixels)
    grid = grid_of(width, height)
    wave = np.asarray(
        Image.fromarray((room(luma, grid) * patterns(grid, name)).astype(np.float32)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
    )
    if where is not None:
        wave = wave * (where / np.float32(255))
    marked = pixels
    for strength in STRENGTHS[min(height, width) >= HALVED and where is None]:
        marked = np.clip(np.rint(pixels + (strength * wave)[..., None]), 0, 255).astype(np.uint8)
        if lives(marked, grid, name):
            break
    return marked


def grid_of(width: int, height: int) -> int:
    """The side of the grid for a picture of that size."""
    return GRIDS[min(width, height) >= 4 * GRIDS[0]]


def room(luma: np.ndarray, grid: int) -> np.ndarray:
    """How far each cell of a picture may be changed, in levels: more where there is texture to hide it."""
    mean, square = resized(luma, grid, grid), resized(luma * luma, grid, grid)
    fine = np.maximum(square - mean * mean, 0)  # what happens inside a cell
    new = mean - mean_around(mean, 2)
    spread = np.sqrt(mean_around(fine, 1) + np.maximum(mean_around(new * new, 1), 0))
    return np.minimum(FLAT + TEXTURED * least_around(spread), MOST)


def least_around(values: np.ndarray) -> np.ndarray:
    """The least value within two cells to each side: an edge hides nothing in the flat beside it."""
    padded = np.pad(values, 2, mode="edge")
    shifts = ((0, 2), (4, 2), (2, 0), (2, 4), (2, 2))
    height, width = values.shape
    return np.min([padded[y : y + height, x : x + width] for y, x in shifts], axis=0)


def lives(pixels: np.ndarray, grid: int, name: int) -> bool:
    """Whether the mark is read with something to spare after resizing by half, where it should be, and JPEG."""
    picture = Image.fromarray(pixels)
    if min(picture.size) >= HALVED:
        picture = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)
    file = BytesIO()
    picture.save(file, "JPEG", quality=75)
    with Image.open(file) as squeezed:
        seen = resized(brightness(np.asarray(squeezed.convert("RGB"))), grid, grid)
    found = decoded(banded(whitened(seen)))
    return found.name == name and found.margin > MARGIN and found.chance(places=1) < SPARE
