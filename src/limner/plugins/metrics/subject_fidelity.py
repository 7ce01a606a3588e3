"""Subject fidelity: similarity of each image to the photos of the subject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.models.features import cosines


class SubjectFidelity:
    """Mean cosine to the photos: DINO or CLIP-I of Ruiz et al. 2023 (DreamBooth, arXiv 2208.12242, section 4.2),
    depending on the encoder.
    """

    title = "subject fidelity"
    about = (
        "mean cosine of each image and the photos of the subject, by an image encoder (DINO or CLIP-I, depending "
        "on the encoder; DreamBooth, Ruiz et al. 2023)"
    )
    better: Literal["higher", "lower"] | None = "higher"
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset({"references"})
    model: str | None = "starter"
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        assert model is not None
        opened = encoder(model)

        def score(gallery: ImageSet) -> np.ndarray:
            return cosines(opened.images(gallery.paths), opened.images(gallery.references)).mean(1)

        return score


plugin = SubjectFidelity()
