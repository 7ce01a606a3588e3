"""What the judge reads off a picture, and what of it is there to be read."""

from __future__ import annotations

from dataclasses import dataclass

from ..painter import BREEDS, CHARACTERS, COLOURS, EXTRAS, LIGHTS, PLACES, POSES, PRODUCTS, STUDIO, STYLES, WEATHERS
from ..painter.animals import BREED_LOOKS, Look
from ..painter.looks import CLEARLY, COATS, MARKS, distance
from ..painter.scene import Scene

NONE, NATURAL = "none", "natural"

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "subject": (*BREEDS, *PRODUCTS),
    "breed": (*BREEDS["cat"], *BREEDS["dog"]),
    "colour": tuple(COLOURS),
    "place": (*PLACES, STUDIO),
    "backdrop": tuple(COLOURS),
    "extra": (NONE, *EXTRAS),
    "extra colour": tuple(COLOURS),
    "style": STYLES,
    "light": LIGHTS,
    "weather": WEATHERS,
    "pose": POSES,
    "coat": (NATURAL, *COATS),
}

COLOURLESS = ("pencil sketch", "neon sign")  # styles that show form and not colour
HATS = ("top hat", "crown", "flower wreath", "party hat")
EYEWEAR = ("glasses", "sunglasses")
FORMS = ("antenna", "horn", "mohawk", "wings")  # marks that every style shows


@dataclass(frozen=True)
class Truth:
    """What a picture shows: a value of each attribute and whether each mark is there; None where it cannot be read."""

    values: dict[str, str | None]
    marks: dict[str, bool | None]


def truth(scene: Scene, look: Look | None = None, coat: str | None = None) -> Truth:
    """The truth of a painted scene; `look` and the name of its coat for an animal made up at random."""
    coloured = scene.style not in COLOURLESS
    values: dict[str, str | None] = dict.fromkeys(ATTRIBUTES)
    values |= {"subject": scene.subject, "place": scene.place, "style": scene.style, "weather": scene.weather}
    if coloured:
        values |= {"colour": scene.colour, "backdrop": scene.backdrop, "light": scene.light}
    if not scene.is_animal:
        return Truth(values, dict.fromkeys(MARKS))
    values |= {"extra": scene.extra or NONE, "pose": scene.pose}
    if coloured:
        values["extra colour"] = scene.extra_colour if scene.extra else None
    if look is None:
        values["breed"] = scene.breed
        look = CHARACTERS[scene.character] if scene.character else BREED_LOOKS[scene.breed] if scene.breed else None
    if look is None:
        return Truth(values, dict.fromkeys(MARKS))
    if coloured:
        values["coat"] = coat or coat_of(look)
    return Truth(values, {mark: _shown(mark, look, scene) for mark in MARKS})


def coat_of(look: Look) -> str:
    """The name of a look's coat: one of COATS, or "natural"."""
    return next((name for name, colour in COATS.items() if colour == look.coat), NATURAL)


def _shown(mark: str, look: Look, scene: Scene) -> bool | None:
    if scene.style in COLOURLESS and mark not in FORMS:
        return None
    on_top = mark in ("antenna", "horn", "mohawk") or mark.startswith("forehead")
    if (on_top and scene.extra in HATS) or (mark == "odd eyes" and scene.extra in EYEWEAR):
        return None
    if mark in look.marks:
        return True
    if mark == "coloured ears":  # breeds have them without the mark's name
        apart = distance(look.ear_colour or look.coat, look.coat)
        return True if apart >= CLEARLY else False if apart < 40 else None
    return mark == "dots" and "spots" in look.marks
