"""How well each picture shows what was asked for, as a text and image encoder sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from ..core.metrics import Encoder, Gallery, Need, Score, Unit


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
        opened = encoder(model)

        def score(gallery: Gallery) -> np.ndarray:
            prompts = list(dict.fromkeys(item.prompt or "" for item in gallery.items))
            texts = dict(zip(prompts, opened.texts(prompts), strict=True))
            pictures = opened.images(gallery.pictures)
            told = zip(pictures, gallery.items, strict=True)
            return np.array([float(picture @ texts[item.prompt or ""]) for picture, item in told])

        return score


plugin = PromptFidelity()
