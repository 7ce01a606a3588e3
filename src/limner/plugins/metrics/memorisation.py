"""How nearly each picture is a copy of one that was learnt from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.data.duplicates.copies import NEAR_COPY, nearest_copies


class Memorisation:
    """Likeness of form to the nearest training picture, by `data.copies.nearest_copies`, which also names it.

    What diffusion models replicate was first told by Somepalli et al. 2023 (arXiv 2212.03860).
    """

    title = "memorisation"
    about = (
        "likeness in form, 0 to 1, of each picture to the training picture nearest to it, also mirrored or saved anew; "
        f"from {NEAR_COPY:g} on a near-copy"
    )
    better: Literal["higher", "lower"] | None = "lower"
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset({"training"})
    model: str | None = None
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        return score


def score(gallery: ImageSet) -> np.ndarray:
    return np.array([match.similarity for match in nearest_copies(gallery.pictures, gallery.training)])


plugin = Memorisation()
