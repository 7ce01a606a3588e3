"""The frozen description of one picture: the truth that a caption tells and a judge reads."""

from __future__ import annotations

import random

from pydantic import BaseModel, ConfigDict, model_validator

from limner.starter.painter.scene import Placement
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


class Scene(BaseModel):
    """What is in a picture. Two equal scenes are painted pixel for pixel alike.

    subject: "cat", "dog" or a product; breed: for animals; colour: of a product.
    place: one of PLACES, or "studio" with `backdrop` as its colour.
    character: the name of a character, which then decides species and look.
    seed: where the subject stands, its size, and all the small accidents of the picture.
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
    def _known(self) -> Scene:
        def check(name: str, value: str | None, known) -> None:
            if value is not None and value not in known:
                raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(known)}")

        for name, values in (ATTRIBUTES | {"breed": BREEDS.get(self.subject, ())}).items():
            check(name, getattr(self, name), values)
        if self.character is not None:
            from limner.starter.painter.animals.look import CHARACTERS

            check("character", self.character, [n for n, look in CHARACTERS.items() if look.species == self.subject])
        if (self.place == STUDIO) != (self.backdrop is not None):
            raise ValueError("a backdrop colour belongs to the studio, and the studio needs one")
        return self

    @property
    def is_animal(self) -> bool:
        return self.subject in BREEDS

    @property
    def facing(self) -> str | None:
        """ "left" or "right", where that can be told: frontal and even subjects face the viewer."""
        sideways = self.pose != "sitting" if self.is_animal else self.subject in ONE_SIDED
        if not sideways:
            return None
        return "left" if Placement.draw(random.Random(self.seed)).mirrored else "right"


COLOURED_EXTRAS = ("top hat", "scarf", "bow tie", "party hat")


def random_scene(rng: random.Random, **fixed) -> Scene:
    """Draw a scene from the pretraining distribution; `fixed` pins attributes."""
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
