"""Edge density: share of each image that is edges, a measure of visual clutter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.imaging.luminance import luminance

STEEP = 12.0


class EdgeDensity:
    """Share of pixels where luma at 256 x 256 pixels changes by more than 12 of 255 levels per pixel, by the Sobel
    operator (edge density as in Rosenholtz et al. 2007, Measuring visual clutter).
    """

    title = "edge density"
    about = (
        f"percent of pixels where luma at 256 x 256 pixels changes by more than {STEEP:g} of 255 levels per pixel, by "
        "the Sobel operator (Rosenholtz et al. 2007); 0 for a flat image"
    )
    better: Literal["higher", "lower"] | None = None
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset()
    model: str | None = None
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        return score


def score(gallery: ImageSet) -> np.ndarray:
    return np.array([float(100 * (slope(luminance(path)) > STEEP).mean()) for path in gallery.paths])


def slope(luma: np.ndarray) -> np.ndarray:
    """Length of the gradient of (h, w) in levels per pixel; (h - 2, w - 2)."""
    across, along = luma[:, 2:] - luma[:, :-2], luma[2:] - luma[:-2]
    return np.hypot(across[:-2] + 2 * across[1:-1] + across[2:], along[:, :-2] + 2 * along[:, 1:-1] + along[:, 2:]) / 8


plugin = EdgeDensity()
