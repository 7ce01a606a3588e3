"""Uniqueness: how far each image is from all training images, by their features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.models.features import cosines


class Uniqueness:
    """1 minus the cosine to the nearest training image: by meaning, where `memorisation` compares pixels."""

    title = "uniqueness"
    about = "cosine distance of each image to the nearest training image, by an image encoder; 0 for the same image"
    better: Literal["higher", "lower"] | None = "higher"
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset({"training"})
    model: str | None = "starter"
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        assert model is not None
        opened = encoder(model)

        def score(gallery: ImageSet) -> np.ndarray:
            return 1 - cosines(opened.images(gallery.paths), opened.images(gallery.training)).max(1)

        return score


plugin = Uniqueness()
