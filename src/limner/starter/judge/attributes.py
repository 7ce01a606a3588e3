"""What the judge reads off a picture, and what of it is there to be read."""

from __future__ import annotations

from limner.starter import painter
from limner.starter.painter import CHARACTERS
from limner.starter.painter.animals import BREED_LOOKS, Look
from limner.starter.painter.animals.emblems import EMBLEMS
from limner.starter.painter.animals.random_look import CLEARLY, COATS, UNCLEAR, distance
from limner.starter.painter.scene import Scene

NONE, NATURAL = "none", "natural"

MARKINGS: dict[str, tuple[str, ...]] = {  # what a character can bear, by where it is
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

COLOURLESS = ("pencil sketch", "neon sign")  # styles that show form and not colour
HATS = ("top hat", "crown", "flower wreath", "party hat")
EYEWEAR = ("glasses", "sunglasses")
COLOURED = ("colour", "backdrop", "light", "extra_colour", "coat", "belly", "forehead", "pattern", "eyes", "ears")


def attribute_of_mark(mark: str) -> tuple[str, str] | None:
    """The attribute and the value that a mark of a look stands for, such as ("belly", "star") for "belly star".

    None for markings that breeds alone have.
    """
    place, _, form = mark.partition(" ")
    if place in ("belly", "forehead"):
        return place, form
    named = {"wings": ("back", "wings"), "odd eyes": ("eyes", "odd"), "coloured ears": ("ears", "coloured")}
    return named.get(mark) or next(((name, mark) for name in ("crest", "pattern") if mark in MARKINGS[name]), None)


def truth(scene: Scene, look: Look | None = None, coat: str | None = None) -> dict[str, str | None]:
    """What a painted scene shows: a value of each attribute, None where it cannot be read.

    look and coat: those of an animal made up at random.
    """
    told: dict[str, str | None] = dict.fromkeys(ATTRIBUTES)
    told |= {"subject": scene.subject, "place": scene.place, "style": scene.style, "weather": scene.weather}
    told |= {"colour": scene.colour, "backdrop": scene.backdrop, "light": scene.light}
    if scene.is_animal:
        told |= {"extra": scene.extra or NONE, "pose": scene.pose}
        told["extra_colour"] = scene.extra_colour if scene.extra else None
        if look is None:
            told["breed"] = scene.breed
            look = CHARACTERS[scene.character] if scene.character else BREED_LOOKS[scene.breed] if scene.breed else None
        if look is not None:
            told |= _markings(look) | {"coat": coat or coat_of(look)}
    if scene.extra in HATS:
        told |= {"forehead": None, "crest": None}
    if scene.extra in EYEWEAR:
        told["eyes"] = None
    if scene.style in COLOURLESS:
        told |= dict.fromkeys(COLOURED)
    return told


def coat_of(look: Look) -> str:
    """The name of a look's coat: one of COATS, or "natural"."""
    return next((name for name, colour in COATS.items() if colour == look.coat), NATURAL)


def _markings(look: Look) -> dict[str, str | None]:
    told: dict[str, str | None] = {name: values[0] for name, values in MARKINGS.items()}
    apart = distance(look.ear_colour or look.coat, look.coat)  # breeds have coloured ears without the mark's name
    told["ears"] = "coloured" if apart >= CLEARLY else "plain" if apart < UNCLEAR else None
    if "spots" in look.marks:
        told["pattern"] = "dots"
    return told | dict(found for mark in look.marks if (found := attribute_of_mark(mark)))
