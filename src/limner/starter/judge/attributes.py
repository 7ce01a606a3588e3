"""The attributes that the judge reads, and their true values in a scene."""

from __future__ import annotations

from limner.starter import painter
from limner.starter.painter.animals.look import BREED_LOOKS, CHARACTERS, COATS, Look
from limner.starter.painter.animals.marks import EMBLEMS
from limner.starter.painter.animals.random_look import DISTINCT, SIMILAR, colour_distance
from limner.starter.painter.scene import Scene

NONE, NATURAL = "none", "natural"

MARKINGS: dict[str, tuple[str, ...]] = {  # marks of a character, by their place
    "belly": (NONE, *sorted(EMBLEMS)),
    "forehead": (NONE, *sorted(EMBLEMS)),
    "crest": (NONE, "antenna", "horn", "mohawk"),
    "pattern": (NONE, "dots", "stripes", "zigzags"),
    "back": (NONE, "wings"),
    "eyes": ("alike", "odd"),
    "ears": ("plain", "coloured"),
}
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    **painter.ATTRIBUTES,
    "extra": (NONE, *painter.ATTRIBUTES["extra"]),
    "coat": (NATURAL, *COATS),
    **MARKINGS,
}

COLOURLESS = ("pencil sketch", "neon sign")  # styles without the colours of the scene
HATS = ("top hat", "crown", "flower wreath", "party hat")
EYEWEAR = ("glasses", "sunglasses")
COLOURED = (
    "colour",
    "backdrop",
    "light",
    "extra_colour",
    "coat",
    "belly",
    "forehead",
    "pattern",
    "eyes",
    "ears",
)


def attribute_of_mark(mark: str) -> tuple[str, str] | None:
    """The attribute and value of a mark of a look, such as ("belly", "star") for "belly star".

    None for marks that only breeds have.
    """
    place, _, form = mark.partition(" ")
    if place in ("belly", "forehead"):
        return place, form
    named = {"wings": ("back", "wings"), "odd eyes": ("eyes", "odd"), "coloured ears": ("ears", "coloured")}
    return named.get(mark) or next(((name, mark) for name in ("crest", "pattern") if mark in MARKINGS[name]), None)


def truth(scene: Scene, look: Look | None = None, coat: str | None = None) -> dict[str, str | None]:
    """The true value of each attribute in the image of a scene; None where it cannot be seen.

    look and coat: those of a random look, as `random_look` returns them.
    """
    values: dict[str, str | None] = dict.fromkeys(ATTRIBUTES)
    values |= {"subject": scene.subject, "place": scene.place, "style": scene.style, "weather": scene.weather}
    values |= {"colour": scene.colour, "backdrop": scene.backdrop, "light": scene.light}
    if scene.is_animal:
        values |= {"extra": scene.extra or NONE, "pose": scene.pose}
        values["extra_colour"] = scene.extra_colour if scene.extra else None
        if look is None:
            values["breed"] = scene.breed
            look = CHARACTERS[scene.character] if scene.character else BREED_LOOKS[scene.breed] if scene.breed else None
        if look is not None:
            values |= _markings(look) | {"coat": coat or coat_of(look)}
    if scene.extra in HATS:
        values |= {"forehead": None, "crest": None}
    if scene.extra in EYEWEAR:
        values["eyes"] = None
    if scene.style in COLOURLESS:
        values |= dict.fromkeys(COLOURED)
    return values


def coat_of(look: Look) -> str:
    """The name of a look's coat: one of COATS, or "natural"."""
    return next((name for name, colour in COATS.items() if colour == look.coat), NATURAL)


def _markings(look: Look) -> dict[str, str | None]:
    values: dict[str, str | None] = {name: options[0] for name, options in MARKINGS.items()}
    difference = colour_distance(look.ear_colour or look.coat, look.coat)  # breeds have coloured ears without that mark
    values["ears"] = "coloured" if difference >= DISTINCT else "plain" if difference < SIMILAR else None
    if "spots" in look.marks:
        values["pattern"] = "dots"
    return values | dict(found for mark in look.marks if (found := attribute_of_mark(mark)))
