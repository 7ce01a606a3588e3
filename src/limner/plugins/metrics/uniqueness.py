"""How far each picture is from all that was learnt from, in meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.models.features import cosines


class Uniqueness:
    """1 less the cosine to the nearest training picture: by meaning, where `memorisation` goes by form."""

    title = "uniqueness"
    about = "cosine distance of each picture to the training picture nearest to it, by an image encoder; 0 for the same"
    better: Literal["higher", "lower"] | None = "higher"
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset({"training"})
    model: str | None = "starter"
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        assert model is not None
        opened = encoder(model)

        def score(gallery: ImageSet) -> np.ndarray:
            return 1 - cosines(opened.images(gallery.pictures), opened.images(gallery.training)).max(1)

        return score


plugin = Uniqueness()
