"""How well each picture shows what was asked for, as a text and image encoder sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.models.features import check_reads_text, prompt_cosines


class PromptFidelity:
    """Cosine of picture and prompt: the CLIP score of Hessel et al. 2021 (arXiv 2104.08718) without its factor."""

    title = "prompt fidelity"
    about = "cosine of each picture and its prompt by a text and image encoder (CLIP score, Hessel et al. 2021)"
    better: Literal["higher", "lower"] | None = "higher"
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset({"prompt"})
    model: str | None = "starter"
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        assert model is not None
        opened = check_reads_text(encoder(model))

        def score(gallery: ImageSet) -> np.ndarray:
            return prompt_cosines(opened, gallery)

        return score


plugin = PromptFidelity()
