"""Sharpness of each image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.imaging.luminance import luminance


class Sharpness:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000, Diatom autofocusing in brightfield microscopy, section 3.5),
    on luma of 256 x 256 pixels, 0 to 255.
    """

    title = "sharpness"
    about = "variance of the Laplacian of luma at 256 x 256 pixels (Pech-Pacheco et al. 2000); 0 for a flat image"
    better: Literal["higher", "lower"] | None = "higher"
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset()
    model: str | None = None
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        return score


def score(gallery: ImageSet) -> np.ndarray:
    return np.array([float(laplacian(luminance(path)).var()) for path in gallery.paths])


def laplacian(luma: np.ndarray) -> np.ndarray:
    """The Laplacian of (h, w) by the four neighbours; (h - 2, w - 2)."""
    return luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]


plugin = Sharpness()
