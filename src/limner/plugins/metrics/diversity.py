"""Diversity: how different the images of one group are, such as those of one prompt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.errors import LimnerError
from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.models.features import cosines


class Diversity:
    """Mean cosine distance of all pairs of a group: DIV of Ruiz et al. 2023 (DreamBooth, arXiv 2208.12242, section 4.2)
    with an image encoder in place of LPIPS.
    """

    title = "diversity"
    about = (
        "mean cosine distance between the images of one prompt, by an image encoder (DreamBooth, Ruiz et al. 2023, "
        "uses LPIPS); 0 when all are the same"
    )
    better: Literal["higher", "lower"] | None = "higher"
    unit: Unit = "group"
    needs: frozenset[Need] = frozenset()
    model: str | None = "starter"
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        assert model is not None
        opened = encoder(model)

        def score(gallery: ImageSet) -> np.ndarray:
            if alone := [name for name, chosen in gallery.groups.items() if len(chosen) < 2]:
                raise LimnerError(
                    f"the metric 'diversity' needs two images of each group, and {alone[0]!r} has one",
                    "give more images of each prompt, or leave the metric out",
                )
            features = opened.images(gallery.paths)
            return np.array(
                [_mean_distance(cosines(features[rows], features[rows])) for rows in gallery.groups.values()]
            )

        return score


def _mean_distance(alike: np.ndarray) -> float:
    """The mean of 1 minus the cosine over pairs of different items. alike: cosines (n, n) of n items with each
    other.
    """
    return float(1 - alike[np.triu_indices(len(alike), 1)].mean())


plugin = Diversity()
