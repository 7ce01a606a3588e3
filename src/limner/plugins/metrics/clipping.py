"""Clipping: share of pixels at the ends of their range, which a high guidance increases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.imaging.decode import open_image


class Clipping:
    """Percent of pixels with a channel at 0 or 255."""

    title = "clipping"
    about = "percent of pixels with a channel at 0 or 255"
    better: Literal["higher", "lower"] | None = "lower"
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset()
    model: str | None = None
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        return score


def score(gallery: ImageSet) -> np.ndarray:
    return np.array([clipped(np.asarray(open_image(path))) for path in gallery.paths])


def clipped(pixels: np.ndarray) -> float:
    """Percent of clipped pixels in (h, w, 3) uint8, 0 to 100."""
    return float(100 * ((pixels == 0) | (pixels == 255)).any(-1).mean())


plugin = Clipping()
