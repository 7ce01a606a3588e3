"""Sizes of images as text, WIDTHxHEIGHT."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_SIDE = 8192


def _check_size(value: str | None) -> str | None:
    if value not in (None, "auto"):
        found = re.fullmatch(r"([0-9]{1,4})x([0-9]{1,4})", value)
        if found is None or not all(8 <= int(side) <= MAX_SIDE for side in found.groups()):
            raise ValueError(f"{value!r} is not a size; use auto, or WIDTHxHEIGHT with sides from 8 to {MAX_SIDE}")
    return value


ImageSize = Annotated[
    str | None,
    Field(max_length=64, description="WIDTHxHEIGHT, or auto for the model's own size."),
    AfterValidator(_check_size),
]


def size_fields(size: str | None) -> dict[str, int]:
    """Return the fields of a generate request for a size; none for the model's own."""
    if size in (None, "auto"):
        return {}
    width, height = map(int, size.split("x"))
    return {"width": width, "height": height}
