"""What a painting uses besides its model: adapters and controls, as fields and as text."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, model_validator

from .request import Frozen, Name

_WEIGHT = r"(?i:[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?(?:nan|inf))"


def _weighed(text: str) -> tuple[str, float]:
    """A path with ":weight" behind it, or without, and then of weight 1."""
    found = re.fullmatch(rf"(.*?)(?::({_WEIGHT}))?", text, re.DOTALL)
    assert found is not None, "the pattern matches any text"
    path, weight = found.groups()
    return path, float(weight) if weight else 1.0


class AdapterUse(Frozen):
    """An adapter and how strongly it acts; as text "path" or "path:weight"."""

    path: Name = Field(description="Folder or .safetensors file of the adapter.")
    weight: float = Field(default=1.0, ge=-4, le=4, description="Strength; 0 switches it off, 1 is as trained.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        path, weight = _weighed(value)
        return {"path": path, "weight": weight}


class ControlUse(Frozen):
    """What a picture's structure is taken from, and how strongly; as text "kind=path" or "kind=path:weight"."""

    kind: Name = Field(description="How the guide picture is made from the photograph: canny, depth, given.")
    path: Name = Field(description="The photograph, or for the kind given the guide picture itself.")
    weight: float = Field(default=1.0, ge=0, le=4, description="Strength; 0 switches it off.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        kind, equals, rest = value.partition("=")
        if not equals:
            raise ValueError(f"{value!r} is not of the form KIND=PICTURE, such as canny=photo.png")
        path, weight = _weighed(rest)
        return {"kind": kind, "path": path, "weight": weight}
