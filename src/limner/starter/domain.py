"""What the starter knows: the painter's images, and the words of their captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from limner.core.pets import PetCatalogue
from limner.starter.painter.captions import PLACE_PHRASES, STYLE_OPENINGS, article, extra_noun
from limner.starter.painter.phrases import SYNONYMS, phrases
from limner.starter.painter.scene import COLOURED_EXTRAS
from limner.starter.painter.vocabulary import ATTRIBUTES, BREEDS, COLOURS, EXTRAS, SPECIES

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

    def pets(self) -> PetCatalogue:
        backdrops = {f"{colour} background": f"on {article(f'{colour} background')}" for colour in COLOURS}
        return PetCatalogue(
            breeds=BREEDS,
            backgrounds={place: words[0] for place, words in PLACE_PHRASES.items()} | backdrops,
            extras={
                extra: "wearing {extra}" if extra_noun(extra) == extra else "wearing {a extra}" for extra in EXTRAS
            },
            styles={style: openings[0].format("{subject}") for style, openings in STYLE_OPENINGS.items()},
            colours=tuple(COLOURS),
            coloured=COLOURED_EXTRAS,
            most_extras=1,
            synonyms=SYNONYMS,
        )

    def draw_pet(self, species: str, breed: str) -> Image:
        from limner.starter.painter import Scene, paint

        return paint(Scene(subject=species, breed=breed, seed=1))

    def resemblance(self, images: Sequence[Image]) -> list[float]:
        from limner.starter.captioner import JudgeCaptions
        from limner.starter.judge import Judge

        return JudgeCaptions(Judge.load()).resemblance(images)


domain = PainterDomain()
