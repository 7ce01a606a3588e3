"""Looks: how a cat or a dog appears. Those of breeds and characters are data, in looks.json."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from limner.starter.painter.canvas import RGB

INK: RGB = (38, 30, 40)
PINK: RGB = (240, 146, 156)


@dataclass(frozen=True)
class Look:
    """How an animal appears in every pose.

    ears: pointed, small, upright, floppy, long, pompom or round. fur: smooth, fluffy or curly.
    legs: leg length, 1 is normal. cheeks: head width, 1 is normal.
    tail: slim, plush, curl, thin, feather, pompom or stub.
    marks: markings and parts by name; see COAT_MARKS, FACE_MARKS and EMBLEMS in `marks`, and HEAD_PARTS in `head`.
    other_mark_colour: of the second patch and so on. part_colour: of horn, wings, antenna and mohawk.
    second_eye: the colour of the right eye if it differs.
    """

    species: str
    coat: RGB
    belly: RGB
    muzzle: RGB
    eye: RGB
    ears: str = "pointed"
    ear_colour: RGB | None = None
    inner_ear: RGB = PINK
    nose: RGB = INK
    fur: str = "smooth"
    legs: float = 1.0
    cheeks: float = 1.0
    tail: str = "slim"
    tail_colour: RGB | None = None
    paws: RGB | None = None
    marks: tuple[str, ...] = ()
    mark_colour: RGB = INK
    other_mark_colour: RGB = INK
    part_colour: RGB = (250, 204, 70)
    second_eye: RGB | None = None

    @property
    def is_cat(self) -> bool:
        return self.species == "cat"


_DATA = json.loads(Path(__file__).with_name("looks.json").read_text(encoding="utf-8"))
_COLOURS: dict[str, RGB] = {name: tuple(colour) for name, colour in _DATA["colours"].items()}
_COLOUR_FIELDS = {field.name for field in fields(Look) if "RGB" in str(field.type)}


def _parse(entry: dict[str, Any]) -> Look:
    """A look from its entry in looks.json, where a colour is the name of one or its three values."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    values |= {name: _COLOURS[value] for name, value in values.items() if name in _COLOUR_FIELDS and value in _COLOURS}
    return Look(**values)


BREED_LOOKS: dict[str, Look] = {name: _parse(entry) for name, entry in _DATA["breeds"].items()}

CHARACTERS: dict[str, Look] = {name: _parse(entry) for name, entry in _DATA["characters"].items()}
"""Invented animals for personalisation. No breed looks like them, and their `marks` are the exact truth."""

COATS: dict[str, RGB] = {name: _COLOURS[name] for name in _DATA["coats"]}
"""Coat colours that no breed has."""
