"""What a painting uses besides its model: adapters and controls, as fields and as text."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, model_validator

from .request import Frozen, Name

NUMBER = r"(?i:[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?(?:nan|inf))"


class AdapterUse(Frozen):
    """An adapter and how strongly it acts; as text "path" or "path:weight"."""

    path: Name = Field(description="Folder or .safetensors file of the adapter.")
    weight: float = Field(default=1.0, ge=-4, le=4, description="Strength; 0 switches it off, 1 is as trained.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = re.fullmatch(rf"(.*?)(?::({NUMBER}))?", value, re.DOTALL)
        assert found is not None, "the pattern matches any text"
        path, weight = found.groups()
        return {"path": path, "weight": float(weight) if weight else 1.0}


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
        found = re.fullmatch(rf"([^=]*)=(.*?)(?::({NUMBER}))?", value, re.DOTALL)
        if found is None:
            raise ValueError(f"{value!r} is not of the form KIND=PICTURE, such as canny=photo.png")
        kind, path, weight = found.groups()
        return {"kind": kind, "path": path, "weight": float(weight) if weight else 1.0}
