"""What the starter knows: the painter's images, and the words of their captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from limner.starter.painter.phrases import SYNONYMS, phrases
from limner.starter.painter.vocabulary import ATTRIBUTES, SPECIES

if TYPE_CHECKING:
    from PIL.Image import Image


class PainterDomain:
    """The domain of the starter, and of models that were trained from it."""

    images = "drawings"
    synonyms: Mapping[str, str] = SYNONYMS
    listing = "limner starter words, or GET /v1/models/starter/words"

    def phrases(self) -> Mapping[str, tuple[str, ...]]:
        return phrases()

    def values(self) -> Mapping[str, tuple[str, ...]]:
        return {"species": SPECIES, **ATTRIBUTES}

    def resemblance(self, images: Sequence[Image]) -> list[float]:
        from limner.starter.captioner import JudgeCaptions
        from limner.starter.judge import Judge

        return JudgeCaptions(Judge.load()).resemblance(images)


domain = PainterDomain()
