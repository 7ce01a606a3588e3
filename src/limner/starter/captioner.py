"""The starter's captioner: says of a picture what the judge reads off it, in the painter's words.

It knows the painter's world and no other, so it is silent about everything that does not look painted by it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from limner.starter.painter import BREEDS, Scene, caption
from limner.starter.painter.scene import COLOURED_EXTRAS
from limner.starter.painter.vocabulary import STUDIO

if TYPE_CHECKING:
    from PIL.Image import Image

    from limner.starter.judge import Judge, Readings

KNOWN = 0.97
"""How likely the readings must be together, for a picture to be one of the painter's."""
SURE = 0.95
"""How likely a reading must be to be told."""
ALWAYS = ("subject", "place", "style", "weather")
OF_ANIMALS = ("pose", "coat", "pattern", "back")
COLOURS_OF = ("colour", "backdrop", "light", "extra_colour")
"""Readings that a style without colours does not show."""
_BATCH = 64


class _Seen(Scene):
    """A scene that was read off a picture. Where the subject faces is not read."""

    @property
    def facing(self) -> str | None:
        return None


class Speaker:
    """The judge's readings (Guo et al. 2017, arXiv 1706.04599, made them probabilities) as words.

    Of 500 fresh painter pictures it speaks of 98%, and of 94% where they were enlarged to 512 px. Of 3,143 fields told
    of the latter one was wrong, a style. Of 106 photographs of DreamBench it says nothing; of 636 squares cut out of
    them it takes two for the painter's.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def captions(self, pictures: Sequence[Image], words: str | None) -> list[str]:
        """The painter's caption of each picture; "" for one that is unlike the painter's.

        words: what the subject is called. Where the caption has not got them anyway, they stand for the subject.
        """
        return [_told(fields, words) if fields else "" for fields in self.fields(pictures)]

    def fields(self, pictures: Sequence[Image]) -> list[dict[str, str]]:
        """What is surely read of each picture, by the names of the painter's attributes; none where it is unlike the
        painter's.
        """
        import numpy as np

        fields: list[dict[str, str]] = []
        for start in range(0, len(pictures), _BATCH):
            seen = np.stack([np.asarray(_small(picture)) for picture in pictures[start : start + _BATCH]])
            readings = self._judge.read(seen)
            fields += [_fields(readings, index) for index in range(len(readings))]
        return fields


class Captioner:
    title = "the starter's own words, for pictures like those of its painter"
    named = False

    def speaker(self, model: str | None, device: str) -> Speaker:
        """The speaker; it has one model and reads on the CPU."""
        from limner.starter.judge import Judge

        return Speaker(Judge.load())


plugin = Captioner()


def _small(picture: Image) -> Image:
    """The middle of a picture at the judge's size."""
    from PIL.Image import Resampling

    from limner.starter.judge.judge import SIDE

    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    way = Resampling.BOX if side >= SIDE else Resampling.BICUBIC
    return picture.convert("RGB").resize((SIDE, SIDE), way, (left, top, left + side, top + side))


def _fields(readings: Readings, index: int) -> dict[str, str]:
    """What is sure of one picture."""
    from limner.starter.judge.attributes import COLOURLESS, NATURAL, NONE

    read = {name: (readings.likeliest(index, name), float(readings.values[name][index].max())) for name in _read()}
    animal = read["subject"][0] in BREEDS
    likely = 1.0
    for name in (*ALWAYS, *(OF_ANIMALS if animal else ("colour",))):
        likely *= read[name][1]
    if likely < KNOWN:
        return {}
    told = {name: value for name, (value, likelihood) in read.items() if likelihood >= SURE and value != NONE}
    untold = {*OF_ANIMALS} - {"pose"}
    untold |= {"colour"} if animal else {"breed", "pose", "extra", "extra_colour"}
    if told.get("extra") not in COLOURED_EXTRAS:
        untold |= {"extra_colour"}
    if (
        read["coat"][0] != NATURAL
        or _marked(readings, index)
        or told.get("breed") not in BREEDS.get(told["subject"], ())
    ):
        untold |= {"breed"}
    if told["place"] == STUDIO:
        untold |= {"light", "weather"}
    else:
        untold |= {"backdrop"}
    if told["style"] in COLOURLESS:
        untold |= {*COLOURS_OF}
    return {name: value for name, value in told.items() if name not in untold}


def _marked(readings: Readings, index: int) -> bool:
    """Whether an animal bears what no breed has, and so is of none; what grows on a head is not seen under a hat."""
    from limner.starter.judge.attributes import HATS, MARKINGS

    places = ("belly", "back") if readings.likeliest(index, "extra") in HATS else ("belly", "back", "forehead", "crest")
    return any(readings.likeliest(index, place) != MARKINGS[place][0] for place in places)


def _read() -> tuple[str, ...]:
    """The attributes that are read."""
    from limner.starter.painter import ATTRIBUTES

    return (*ATTRIBUTES, *(name for name in OF_ANIMALS if name not in ATTRIBUTES))


def _told(fields: dict[str, str], words: str | None) -> str:
    """The painter's caption of what was read."""
    scene = _Seen.model_construct(None, **fields)
    told = caption(scene)
    words = " ".join((words or "").split())
    if not words or re.search(rf"(?<!\w){re.escape(words)}(?!\w)", told, re.IGNORECASE):
        return told
    return caption(scene, identifier="{words}").replace(f"{{words}} {scene.subject}", words, 1)
