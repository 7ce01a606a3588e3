"""Edges of an image (Canny 1986, A Computational Approach to Edge Detection), white on black."""

from __future__ import annotations

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError

LOW, HIGH = 100, 200
"""Usual thresholds of the gradient for ControlNets, for 8-bit values."""


class Canny:
    def guide(self, image: Image.Image) -> Image.Image:
        try:
            import cv2
        except ImportError as error:
            raise LimnerError(
                "the control 'canny' needs OpenCV, which is missing", "pip install opencv-python-headless"
            ) from error
        edges = cv2.Canny(np.asarray(image.convert("RGB")), LOW, HIGH)
        return Image.fromarray(edges).convert("RGB")


plugin = Canny()
