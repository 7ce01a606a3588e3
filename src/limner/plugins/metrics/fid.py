"""How far the pictures as a whole are from the photographs as a whole: two clouds of features as normal ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.models.features import FeaturePassthrough, check_counts, torchmetrics_image

FEWEST = 16


class FID:
    """Fréchet distance (Heusel et al. 2017, arXiv 1706.08500, eq. 6) of features of length 1, by torchmetrics, with any
    encoder in place of Inception: figures of different encoders are not to be compared, nor with those of papers.
    """

    title = "FID"
    about = (
        "Fréchet distance of the pictures' features and the photographs' by an image encoder (Heusel et al. 2017, who "
        "take Inception); FID of few pictures is biased upwards: compare equal numbers only, and thousands are usual"
    )
    better: Literal["higher", "lower"] | None = "lower"
    unit: Unit = "set"
    needs: frozenset[Need] = frozenset({"references"})
    model: str | None = "starter"
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        assert model is not None
        distance = torchmetrics_image("fid").FrechetInceptionDistance
        opened = encoder(model)

        def score(gallery: ImageSet) -> np.ndarray:
            check_counts("fid", gallery, FEWEST)
            pictures, references = opened.images(gallery.pictures), opened.images(gallery.references)
            measure = distance(feature=FeaturePassthrough(pictures.shape[1]))
            measure.update(references.double(), real=True)
            measure.update(pictures.double(), real=False)
            return np.array([max(0.0, float(measure.compute()))])

        return score


plugin = FID()
