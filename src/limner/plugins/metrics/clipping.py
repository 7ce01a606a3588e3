"""How much of each picture is burnt out or drowned, as a high guidance does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.imaging.decode import open_image


class Clipping:
    """Share of pixels with a channel at the end of its range, in percent."""

    title = "clipping"
    about = "percent of pixels of which a channel is at 0 or 255"
    better: Literal["higher", "lower"] | None = "lower"
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset()
    model: str | None = None
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        return score


def score(gallery: ImageSet) -> np.ndarray:
    return np.array([clipped(np.asarray(open_image(path))) for path in gallery.pictures])


def clipped(pixels: np.ndarray) -> float:
    """Of (h, w, 3) uint8, 0 to 100."""
    return float(100 * ((pixels == 0) | (pixels == 255)).any(-1).mean())


plugin = Clipping()
