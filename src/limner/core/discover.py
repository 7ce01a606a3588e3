"""Searches for prompts: what is asked for, and what was found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter

from limner.core.prompt_records import PromptRecord
from limner.core.requests import Frozen

HISTORY = "history"
"""The library of the user's own images, whose truth is the database."""
LEAST_TOLD = 0.01
"""The smallest cosine of the looks of two images that is a reason for a hit."""
LONGEST = 10_000
"""The most characters of a search."""
MOST = 1e9
"""The upper end of a range that is open."""
_RANGE = re.compile(r"(\d{0,9}\.?\d{0,9})\s{0,4}(-?)\s{0,4}(\d{0,9}\.?\d{0,9})")


class Shape(StrEnum):
    """The shape of an image."""

    SQUARE = "square"
    PORTRAIT = "portrait"
    LANDSCAPE = "landscape"


def _size(value: Any) -> Any:
    if isinstance(value, str) and (sides := re.fullmatch(r"(\d{1,5})\s*[xX\u00d7]\s*(\d{1,5})", value.strip())):
        return int(sides[1]), int(sides[2])
    if isinstance(value, str) and value not in {*Shape}:
        raise ValueError(f"{value[:40]!r} is no size; write {', '.join(Shape)}, or a size such as 512x768")
    return value


def _range(value: Any) -> Any:
    """Two numbers from a text such as "5", "5-8", "5-" or "-8"."""
    if isinstance(value, int | float):
        return value, value
    if isinstance(value, str) and (ends := _RANGE.fullmatch(value.strip())):
        low, dash, high = ends.groups()
        if low or high:
            return low or 0, high or (MOST if dash else low)
    if value is None or isinstance(value, list | tuple):
        return cast(Any, value)
    raise ValueError(f"{str(value)[:40]!r} is no range; write a number, or a range such as 20-40")


def _ordered(value: tuple[float, float] | None) -> tuple[float, float] | None:
    if value is not None and value[0] > value[1]:
        raise ValueError(f"{value[0]:g} is more than {value[1]:g}; write the smaller number first")
    return value


COLOURS = {
    "red": "#d32f2f",
    "orange": "#f57c00",
    "yellow": "#fdd835",
    "green": "#43a047",
    "turquoise": "#00acc1",
    "blue": "#1e62d0",
    "violet": "#7b3fb5",
    "pink": "#ec6aa0",
    "brown": "#795548",
    "white": "#f7f7f5",
    "grey": "#8a8d91",
    "black": "#17181a",
}
"""Colours of pictures by their everyday names. The pure ones that CSS means by some of these occur in few pictures."""


def colour_of(text: str) -> str:
    """A colour as # and six hexadecimal digits. text: such as "#aabbcc", "abc", "blue", or "tomato", a name of CSS.

    Raises ValueError for what is none.
    """
    from PIL.ImageColor import colormap, getrgb

    wanted = "".join(text.casefold().split())
    digits = wanted.removeprefix("#")
    if re.fullmatch("[0-9a-f]{3}|[0-9a-f]{6}", digits):
        return "#" + (digits if len(digits) == 6 else "".join(2 * each for each in digits))
    if wanted in COLOURS:
        return COLOURS[wanted]
    if wanted in colormap:
        return "#{:02x}{:02x}{:02x}".format(*getrgb(wanted))
    raise ValueError(f"{text[:40]!r} is no colour; write one such as #d04020 or tomato")


Range = Annotated[tuple[float, float] | None, BeforeValidator(_range), AfterValidator(_ordered)]
Size = Annotated[Shape | tuple[int, int] | None, BeforeValidator(_size)]


class Filters(Frozen):
    """What hits must have. Settings hold for one of the images of a prompt."""

    libraries: tuple[str, ...] = Field(default=(), max_length=64, description="Only of these libraries.")
    model: str = Field(default="", max_length=200, description="Model, or a part of its name.")
    adapter: str = Field(default="", max_length=200, description="Adapter, or a part of its name.")
    sampler: str = Field(default="", max_length=100, description="Sampler, or a part of its name.")
    size: Size = Field(default=None, description="square, portrait, landscape, or a size such as 512x768.")
    steps: Range = Field(default=None, description="Steps: a number, or a range such as 20-40.")
    guidance: Range = Field(default=None, description="Guidance scale: a number, or a range such as 5-8.")
    since: date | None = Field(default=None, description="Not before this day.")
    until: date | None = Field(default=None, description="Not after this day.")
    stars: int = Field(default=0, ge=0, le=5, description="At least so many stars.")
    unsafe: bool = Field(default=False, description="Also prompts that the moderation policy marks as unsafe.")

    @property
    def of_images(self) -> bool:
        """Whether an image of a prompt has to match."""
        return any(
            getattr(self, name) not in (None, "", 0)
            for name in ("model", "adapter", "sampler", "size", "steps", "guidance", "since", "until", "stars")
        )


@dataclass(frozen=True, slots=True)
class Hit:
    """A prompt that was found. records: its first images. images: how many it has. words: words of the search that it
    has. meaning: cosine to the search; None where it was found by words only. source, licence: of its library.

    look: cosine of an image of it to the image that was given. colour: how much of an image has the colour that was
    given. Both are None where the prompt was not found so. place: of the image, among its records, that fits best.
    """

    library: str
    prompt: int
    text: str
    negative: str
    records: tuple[PromptRecord, ...]
    images: int
    words: tuple[str, ...]
    meaning: float | None
    source: str
    licence: str
    look: float | None = None
    colour: float | None = None
    place: int = 0

    def facts(self) -> dict[str, Any]:
        """As a mapping for JSON."""
        return TypeAdapter(Hit).dump_python(self, mode="json")
