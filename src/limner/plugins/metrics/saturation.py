"""Saturation: how strong the colours are, which a high guidance increases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.imaging.decode import open_image


class Saturation:
    """Colourfulness of Hasler and Süsstrunk 2003 (Measuring colourfulness in natural images, eq. 3), on 0 to 255."""

    title = "saturation"
    about = "colourfulness (Hasler and Süsstrunk 2003): 0 for grey, above 80 for garish"
    better: Literal["higher", "lower"] | None = None
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset()
    model: str | None = None
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        return score


def score(gallery: ImageSet) -> np.ndarray:
    return np.array([colourfulness(np.asarray(open_image(path))) for path in gallery.paths])


def colourfulness(pixels: np.ndarray) -> float:
    """Colourfulness of (h, w, 3) uint8."""
    red, green, blue = np.moveaxis(pixels.astype(np.float64), -1, 0)
    across, along = red - green, (red + green) / 2 - blue
    return float(np.hypot(across.std(), along.std()) + 0.3 * np.hypot(across.mean(), along.mean()))


plugin = Saturation()
