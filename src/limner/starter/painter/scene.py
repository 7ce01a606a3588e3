"""Scenes: the exact description of an image, from which it is drawn and captioned."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, model_validator

from limner.starter.painter.animals.look import CHARACTERS
from limner.starter.painter.vocabulary import (
    ATTRIBUTES,
    BREEDS,
    COLOURS,
    EXTRAS,
    INDOORS,
    LIGHTS,
    ONE_SIDED,
    PLACES,
    POSES,
    PRODUCTS,
    STUDIO,
    STYLES,
    WEATHERS,
)


@dataclass(frozen=True)
class Placement:
    """Where the subject stands: its foot in pixels, its scale, and whether it is mirrored, so that it faces left."""

    x: float
    y: float
    scale: float
    mirrored: bool

    @classmethod
    def draw(cls, rng: random.Random) -> Placement:
        return cls(rng.uniform(57, 71), rng.uniform(112, 119), rng.uniform(1.1, 1.28), rng.random() < 0.5)


class Scene(BaseModel):
    """What is in an image. Equal scenes have equal pixels.

    subject: "cat", "dog" or a product. breed: of an animal. colour: of a product.
    place: one of PLACES, or "studio" with `backdrop` as its colour.
    character: the name of a character, which decides the look.
    seed: decides the position and size of the subject, and all other random details.

    Raises ValueError for a value that is not in the vocabulary.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str
    breed: str | None = None
    colour: str | None = None
    character: str | None = None
    extra: str | None = None
    extra_colour: str | None = None
    pose: str = "sitting"
    place: str = "park"
    backdrop: str | None = None
    light: str = "day"
    weather: str = "clear"
    style: str = "illustration"
    seed: int = 0

    @model_validator(mode="after")
    def _check_values(self) -> Scene:
        def check(name: str, value: str | None, known) -> None:
            if value is not None and value not in known:
                raise ValueError(f"unknown {name} {value!r}; use one of {', '.join(known)}")

        for name, values in (ATTRIBUTES | {"breed": BREEDS.get(self.subject, ())}).items():
            check(name, getattr(self, name), values)
        check("character", self.character, [n for n, look in CHARACTERS.items() if look.species == self.subject])
        if (self.place == STUDIO) != (self.backdrop is not None):
            raise ValueError("only the studio has a backdrop, and it needs one; set backdrop to a colour")
        return self

    @property
    def is_animal(self) -> bool:
        return self.subject in BREEDS

    @property
    def facing(self) -> str | None:
        """ "left" or "right"; None for subjects that face the viewer or look the same from both sides."""
        sideways = self.pose != "sitting" if self.is_animal else self.subject in ONE_SIDED
        if not sideways:
            return None
        return "left" if Placement.draw(random.Random(self.seed)).mirrored else "right"


COLOURED_EXTRAS = ("top hat", "scarf", "bow tie", "party hat")


def random_scene(rng: random.Random, **fixed) -> Scene:
    """Sample a scene from the pretraining distribution; `fixed` sets attributes."""
    chosen = dict(fixed)

    def pick(name: str, draw):
        if name not in chosen:
            chosen[name] = draw()
        return chosen[name]

    animal = rng.random() < 0.62
    subject = pick("subject", lambda: rng.choice(tuple(BREEDS) if animal else PRODUCTS))
    if subject in BREEDS:
        if chosen.get("character") is None:
            pick("breed", lambda: rng.choice(BREEDS[subject]))
        pick("pose", lambda: rng.choices(POSES, (6, 2, 2))[0])
        extra = pick("extra", lambda: rng.choice(EXTRAS) if rng.random() < 0.45 else None)
        if extra in COLOURED_EXTRAS:
            pick("extra_colour", lambda: rng.choice(tuple(COLOURS)))
    else:
        pick("colour", lambda: rng.choice(tuple(COLOURS)))
    place = pick("place", lambda: STUDIO if rng.random() < 0.14 else rng.choice(PLACES))
    if place == STUDIO:
        pick("backdrop", lambda: rng.choice(tuple(COLOURS)))
        lights, weathers = ("day",), ("clear",)
    else:
        lights = LIGHTS
        weathers = ("clear",) if place in INDOORS else WEATHERS
    pick("light", lambda: rng.choices(LIGHTS, (6, 2, 2))[0] if len(lights) > 1 else "day")
    pick("weather", lambda: rng.choices(WEATHERS, (8, 1, 1))[0] if len(weathers) > 1 else "clear")
    pick("style", lambda: rng.choices(STYLES, (10, 2, 2, 2, 2, 2))[0])
    pick("seed", lambda: rng.getrandbits(31))
    return Scene(**chosen)


def portraits(character: str, rng: random.Random, places: Iterable[str], poses: Iterable[str]) -> list[Scene]:
    """A scene of a character for each place and pose: by day, in clear weather, without an extra."""
    return [
        random_scene(
            rng,
            subject=CHARACTERS[character].species,
            character=character,
            extra=None,
            place=place,
            pose=pose,
            light="day",
            weather="clear",
            style="illustration",
        )
        for place, pose in zip(places, poses, strict=True)
    ]
