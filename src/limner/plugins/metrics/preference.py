"""Preference: how much people would prefer each image for its prompt, by a model that was trained on their choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.models.features import check_reads_text, prompt_cosines


class Preference:
    """Cosine of image and prompt by a CLIP trained on people's choices, such as PickScore (Kirstain et al. 2023, arXiv
    2305.01569, eq. 1, without its temperature, which does not change the order).
    """

    title = "preference"
    about = (
        "cosine of each image and its prompt by a CLIP that you name and that was trained on people's choices, such as "
        "PickScore (Kirstain et al. 2023)"
    )
    better: Literal["higher", "lower"] | None = "higher"
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset({"prompt"})
    model: str | None = None
    named = True

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        assert model is not None
        opened = check_reads_text(encoder(model))

        def score(gallery: ImageSet) -> np.ndarray:
            return prompt_cosines(opened, gallery)

        return score


plugin = Preference()
