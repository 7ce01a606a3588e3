"""Cutting photographs to the model's shape."""

from __future__ import annotations

import numpy as np
from PIL import Image


def square(image: Image.Image, side: int) -> Image.Image:
    """The largest square in the middle of the picture, resized with antialiasing to side x side pixels."""
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    # Cut first: resize(box=...) would let pixels from outside the square bleed into its edge.
    middle = Image.fromarray(np.asarray(image)[top : top + edge, left : left + edge])
    return middle.resize((side, side), Image.Resampling.LANCZOS)


def frame(size: tuple[int, int], side: int) -> tuple[int, int, int, int, int, int]:
    """What `square` does to a picture of this (width, height), in the terms of SDXL (arXiv 2307.01952, section 2.2):
    its height and width, the crop's top and left in pixels of the result, the crop's height and width.
    """
    width, height = size
    scale = side / min(size)
    return height, width, round((height * scale - side) / 2), round((width * scale - side) / 2), side, side
