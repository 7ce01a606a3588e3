"""Pictures as luminance at one scale, so that those of different sizes can be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from limner.imaging.decode import open_image

SIDE = 256
SHORTEST = 8
WEIGHTS = (0.299, 0.587, 0.114)


def luminance(path: Path) -> np.ndarray:
    """Luma (h, w) of a picture (ITU-R BT.601), 0 to 255 in fp64, resized to about 256 x 256 pixels in its own shape."""
    picture = open_image(path)
    pixels = np.asarray(picture, dtype=np.float32) @ np.array(WEIGHTS, dtype=np.float32)
    scale = SIDE / (picture.width * picture.height) ** 0.5
    size = (max(SHORTEST, round(picture.width * scale)), max(SHORTEST, round(picture.height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC), dtype=np.float64)
