"""How much people would prefer each picture for its prompt, by a model that was trained on their choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.models.features import check_reads_text, prompt_cosines


class Preference:
    """Cosine of picture and prompt by a CLIP taught on choices of people, such as PickScore (Kirstain et al. 2023,
    arXiv 2305.01569, eq. 1, without its temperature, which changes no order).
    """

    title = "preference"
    about = (
        "cosine of each picture and its prompt, times nothing, by a CLIP trained on choices of people that is named, "
        "such as PickScore (Kirstain et al. 2023)"
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
