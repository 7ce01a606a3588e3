"""Memorisation: how close each image is to being a copy of a training image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.data.duplicates.copies import NEAR_COPY, nearest_copies


class Memorisation:
    """Pixel similarity to the nearest training image, by `data.duplicates.copies.nearest_copies`.

    Replication by diffusion models was first studied by Somepalli et al. 2023 (arXiv 2212.03860).
    """

    title = "memorisation"
    about = (
        "pixel similarity, 0 to 1, of each image to the nearest training image, also if that is mirrored or saved "
        f"again; a near copy from {NEAR_COPY:g} on"
    )
    better: Literal["higher", "lower"] | None = "lower"
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset({"training"})
    model: str | None = None
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        return score


def score(gallery: ImageSet) -> np.ndarray:
    return np.array([match.similarity for match in nearest_copies(gallery.paths, gallery.training)])


plugin = Memorisation()
