"""Class drift: how far training has changed a model's images of the plain class word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.errors import LimnerError
from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.models.features import cosines


class ClassDrift:
    """Cosine distance to the base model's image of the same prompt and seed: language drift (Ruiz et al. 2023,
    DreamBooth, arXiv 2208.12242, section 3.3), image by image.
    """

    title = "class drift"
    about = (
        "cosine distance, by an image encoder, of each image of a plain class prompt and the base model's image from "
        "the same seed (language drift, DreamBooth, Ruiz et al. 2023); 0 when nothing changed"
    )
    better: Literal["higher", "lower"] | None = "lower"
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset({"base"})
    model: str | None = "starter"
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        assert model is not None
        opened = encoder(model)

        def score(gallery: ImageSet) -> np.ndarray:
            _check_pairs(gallery)
            now, before = opened.images(gallery.paths), opened.images([item.path for item in gallery.base])
            return 1 - np.diagonal(cosines(now, before))

        return score


def _check_pairs(gallery: ImageSet) -> None:
    """Raise LimnerError for a pair of images of different prompts."""
    for item, before in zip(gallery.items, gallery.base, strict=True):
        if item.prompt is not None and before.prompt is not None and item.prompt != before.prompt:
            raise LimnerError(
                f"the metric 'class_drift' was given {item.prompt[:60]!r}, but {before.prompt[:60]!r} of the base",
                "generate both from the same prompts in the same order",
            )


plugin = ClassDrift()
