"""Luminance of images at one scale, and Otsu's threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from limner.imaging.decode import open_image

SIDE = 256
SHORTEST = 8
WEIGHTS = (0.299, 0.587, 0.114)
"""Of red, green and blue in luma (ITU-R BT.601)."""
BINS = 256


def luminance(path: Path) -> np.ndarray:
    """Luma (h, w) of an image file, fp64 from 0 to 255, resized to about 256 x 256 pixels in its own aspect ratio.

    One scale makes images of different sizes comparable.
    """
    image = open_image(path)
    pixels = np.asarray(image, dtype=np.float32) @ np.array(WEIGHTS, dtype=np.float32)
    scale = SIDE / (image.width * image.height) ** 0.5
    size = (max(SHORTEST, round(image.width * scale)), max(SHORTEST, round(image.height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC), dtype=np.float64)


def otsu(values: np.ndarray) -> float:
    """Otsu's threshold: the one with the greatest variance between the values above it and the others.

    One of 256 steps from the least to the greatest value (Otsu 1979, A threshold selection method from gray-level
    histograms).
    """
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return low
    counts, edges = np.histogram(values, BINS, (low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * centres).cumsum()
    parted = (below > 0) & (above > 0)
    apart = np.where(parted, sums / np.maximum(below, 1) - (sums[-1] - sums) / np.maximum(above, 1), 0)
    return float(edges[1:][np.argmax(below.astype(float) * above * apart**2)])
