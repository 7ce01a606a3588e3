"""How far what a model paints for a plain class word has moved by what it was taught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.errors import LimnerError
from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.models.features import cosines


class ClassDrift:
    """Cosine distance to what the base model painted for the same prompt and seed: what Ruiz et al. 2023 (DreamBooth,
    arXiv 2208.12242, section 3.3) call language drift, picture by picture.
    """

    title = "class drift"
    about = (
        "cosine distance, by an image encoder, of each picture of a plain class prompt and the one that the base model "
        "painted from the same seed (language drift, DreamBooth, Ruiz et al. 2023); 0 when nothing moved"
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
            now, before = opened.images(gallery.pictures), opened.images([item.picture for item in gallery.base])
            return 1 - np.diagonal(cosines(now, before))

        return score


def _check_pairs(gallery: ImageSet) -> None:
    """Refuse pairs of pictures that were asked for by different prompts."""
    for item, before in zip(gallery.items, gallery.base, strict=True):
        if item.prompt is not None and before.prompt is not None and item.prompt != before.prompt:
            raise LimnerError(
                f"the metric 'class_drift' was given {item.prompt[:60]!r} beside {before.prompt[:60]!r} of the base",
                "let both paint the same prompts in the same order",
            )


plugin = ClassDrift()
