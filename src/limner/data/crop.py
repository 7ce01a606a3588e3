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
