"""The starter's captioner: captions images in the painter's words, from the attributes that the judge reads.

It is trained on images of the painter only, so its caption of any other image is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from limner.starter.painter import ATTRIBUTES, BREEDS, Scene, caption
from limner.starter.painter.scene import COLOURED_EXTRAS
from limner.starter.painter.vocabulary import STUDIO

if TYPE_CHECKING:
    from PIL.Image import Image

    from limner.starter.judge import Judge, Readings

MIN_IMAGE_PROBABILITY = 0.991
"""The least product of probabilities at which an image counts as one of the painter."""
MIN_PROBABILITY = 0.95
"""The least probability at which an attribute is used."""
ALWAYS = ("subject", "place", "style", "weather")
OF_ANIMALS = ("pose", "coat", "pattern", "back")
COLOURS_OF = ("colour", "backdrop", "light", "extra_colour")
"""Attributes that styles without colours do not show."""
_BATCH = 64


class _ReadScene(Scene):
    """A scene that was read from an image, where the direction of the subject is not known."""

    @property
    def facing(self) -> str | None:
        return None


class JudgeCaptions:
    """Captions from the calibrated probabilities of the judge (Guo et al. 2017, arXiv 1706.04599).

    It captions 95% of 300 new images of the painter, and 91% when they are enlarged to 512 px; of 3,690 attributes none
    was wrong. It captions none of 106 photographs of DreamBench, and 3 of 636 square crops of them.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def captions(self, images: Sequence[Image], words: str | None) -> list[str]:
        """The caption of each image; "" for one that does not look like the painter's.

        words: a name of the subject, which replaces it in captions that do not contain the name.
        """
        return [_caption(fields, words) if fields else "" for fields in self.fields(images)]

    def fields(self, images: Sequence[Image]) -> list[dict[str, str]]:
        """The attributes of each image that are sure, by name; none for one that does not look like the painter's."""
        return [_fields(readings, index) for readings in self._read(images) for index in range(len(readings))]

    def resemblance(self, images: Sequence[Image]) -> list[float]:
        """How sure the judge is of what each image shows, 0 to 1: above 0.8 for those of the painter."""
        return [_resemblance(readings, index) for readings in self._read(images) for index in range(len(readings))]

    def _read(self, images: Sequence[Image]) -> Iterator[Readings]:
        """Yield readings of the images, batch by batch."""
        import numpy as np

        for start in range(0, len(images), _BATCH):
            yield self._judge.read(np.stack([np.asarray(_small(image)) for image in images[start : start + _BATCH]]))


class StarterCaptioner:
    title = "captions by the starter's judge, for images like those of its painter"
    named = False

    def speaker(self, model: str | None, device: str) -> JudgeCaptions:
        """The captioner, which has one model and runs on the CPU."""
        from limner.starter.judge import Judge

        return JudgeCaptions(Judge.load())


plugin = StarterCaptioner()


def _small(image: Image) -> Image:
    """The central square of an image at the judge's size."""
    from PIL.Image import Resampling

    from limner.starter.judge.judge import SIDE

    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    method = Resampling.BOX if side >= SIDE else Resampling.BICUBIC
    return image.convert("RGB").resize((SIDE, SIDE), method, (left, top, left + side, top + side))


def _resemblance(readings: Readings, index: int) -> float:
    """The product of the probabilities of the attributes that one image must have."""
    animal = readings.likeliest(index, "subject") in BREEDS
    probability = 1.0
    for name in (*ALWAYS, *(OF_ANIMALS if animal else ("colour",))):
        probability *= float(readings.values[name][index].max())
    return probability


def _fields(readings: Readings, index: int) -> dict[str, str]:
    """The attributes of one image that are sure; empty if it does not look like the painter's."""
    from limner.starter.judge.attributes import COLOURLESS, NATURAL, NONE

    if _resemblance(readings, index) < MIN_IMAGE_PROBABILITY:
        return {}
    names = (*ATTRIBUTES, *(name for name in OF_ANIMALS if name not in ATTRIBUTES))
    read = {name: (readings.likeliest(index, name), float(readings.values[name][index].max())) for name in names}
    animal = read["subject"][0] in BREEDS
    sure = {name: value for name, (value, chance) in read.items() if chance >= MIN_PROBABILITY and value != NONE}
    left_out = {*OF_ANIMALS} - {"pose"}
    left_out |= {"colour"} if animal else {"breed", "pose", "extra", "extra_colour"}
    if sure.get("extra") not in COLOURED_EXTRAS:
        left_out |= {"extra_colour"}
    if (
        read["coat"][0] != NATURAL
        or _has_marks(readings, index)
        or sure.get("breed") not in BREEDS.get(sure["subject"], ())
    ):
        left_out |= {"breed"}
    if sure["place"] == STUDIO:
        left_out |= {"light", "weather"}
    else:
        left_out |= {"backdrop"}
    if sure["style"] in COLOURLESS:
        left_out |= {*COLOURS_OF}
    return {name: value for name, value in sure.items() if name not in left_out}


def _has_marks(readings: Readings, index: int) -> bool:
    """Whether an animal has marks that no breed has; those on its head are not seen under a hat."""
    from limner.starter.judge.attributes import HATS, MARKINGS

    places = ("belly", "back") if readings.likeliest(index, "extra") in HATS else ("belly", "back", "forehead", "crest")
    return any(readings.likeliest(index, place) != MARKINGS[place][0] for place in places)


def _caption(fields: dict[str, str], words: str | None) -> str:
    """The painter's caption of the attributes, with `words` for the subject."""
    scene = _ReadScene.model_construct(None, **fields)
    text = caption(scene)
    words = " ".join((words or "").split())
    if not words or re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE):
        return text
    return caption(scene, identifier="{words}").replace(f"{{words}} {scene.subject}", words, 1)
