"""FID: distance of the images as a whole to the photos as a whole, with a Gaussian fitted to each set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.models.features import check_counts, passed_through, torchmetrics_image

MIN_IMAGES = 16


class FID:
    """Fréchet distance (Heusel et al. 2017, arXiv 1706.08500, eq. 6) of features of length 1, by torchmetrics, with any
    encoder in place of Inception. Values of different encoders cannot be compared, nor with those of papers.
    """

    title = "FID"
    about = (
        "Fréchet distance of the features of images and photos, by an image encoder (Heusel et al. 2017, with "
        "Inception); biased upwards for few images: compare equal numbers only; thousands are usual"
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
            check_counts("fid", gallery, MIN_IMAGES)
            images, references = opened.images(gallery.paths), opened.images(gallery.references)
            measure = distance(feature=passed_through(images.shape[1]))
            measure.update(references.double(), real=True)
            measure.update(images.double(), real=False)
            return np.array([max(0.0, float(measure.compute()))])

        return score


plugin = FID()
