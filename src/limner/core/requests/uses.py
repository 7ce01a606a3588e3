"""What a request uses: adapters, controls, metrics and contestants, as fields and as text."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, model_validator

from .request import Frozen, Name, Refers

_WEIGHT = r"(?i:[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?(?:nan|inf))"


def _weighed(text: str) -> tuple[str, float]:
    """A path with ":weight" behind it, or without, and then of weight 1."""
    found = re.fullmatch(rf"(.*?)(?::({_WEIGHT}))?", text, re.DOTALL)
    assert found is not None, "the pattern matches any text"
    path, weight = found.groups()
    return path, float(weight) if weight else 1.0


class AdapterUse(Frozen):
    """An adapter and how strongly it acts; as text "path" or "path:weight"."""

    path: Annotated[Name, Refers("weights")] = Field(description="Folder or .safetensors file of the adapter.")
    weight: float = Field(default=1.0, ge=-4, le=4, description="Strength; 0 switches it off, 1 is as trained.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        path, weight = _weighed(value)
        return {"path": path, "weight": weight}


class Contestant(Frozen):
    """What is compared with others; as text MODEL, ADAPTER, ADAPTER:WEIGHT, or MODEL+ADAPTER:WEIGHT with one or more
    adapters. A + that belongs to a name is written ++.

    model: a model, or an adapter by itself, which then acts on the model that it was taught on.
    """

    model: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Model, or where an adapter stands by itself, that adapter."
    )
    adapter: tuple[AdapterUse, ...] = Field(default=(), max_length=8, description="Adapters that act on the model.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = [part.replace("\0", "+") for part in value.replace("\0", "").replace("++", "\0").split("+")]
        if not all(parts):
            raise ValueError(f"{value[:80]!r} is not of the form MODEL, ADAPTER:WEIGHT or MODEL+ADAPTER:WEIGHT")
        first, *rest = parts
        weighed = _weighed(first)[0] != first
        return {"model": None, "adapter": parts} if weighed else {"model": first, "adapter": rest}

    @model_validator(mode="after")
    def _something(self) -> Contestant:
        if self.model is None and not self.adapter:
            raise ValueError("a contestant is neither a model nor an adapter; name one")
        return self

    @property
    def by_itself(self) -> bool:
        """Whether it is, or by its name may be, an adapter on the model that its header names."""
        return self.model is None or self.model.startswith(("sha256:", "folder:"))

    @property
    def adapts(self) -> bool:
        """Whether an adapter acts in it, or by its name may."""
        return bool(self.adapter) or self.by_itself

    def __str__(self) -> str:
        uses = [use.path if use.weight == 1 else f"{use.path}:{use.weight:g}" for use in self.adapter]
        return "+".join(part.replace("+", "++") for part in ([self.model] if self.model else []) + uses)


class MetricUse(Frozen):
    """A metric, and the network that it scores with; as text "name", "name=model" or "name=model@encoder". A @ that
    belongs to a name is written @@.
    """

    name: Name = Field(description="Name of the metric.")
    model: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Network that it scores with: a folder, a .safetensors file or a Hugging Face id."
    )
    encoder: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Where that is a head: the network whose features it reads."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name, _, networks = value.partition("=")
        model, *encoder = [
            part.replace("\0", "@") for part in networks.replace("\0", "").replace("@@", "\0").split("@")
        ]
        if len(encoder) > 1 or (encoder and not (model and encoder[0])):
            raise ValueError(
                f"{value[:80]!r} names no head and encoder; write {name[:40]}=HEAD@ENCODER, and a @ in a name as @@"
            )
        return {"name": name, "model": model or None, "encoder": encoder[0] if encoder else None}

    @model_validator(mode="after")
    def _of_a_head(self) -> MetricUse:
        if self.encoder is not None and self.model is None:
            raise ValueError(f"the metric {self.name!r} has an encoder and no head; name it as model")
        return self

    def __str__(self) -> str:
        networks = [part.replace("@", "@@") for part in (self.model, self.encoder) if part is not None]
        return "=".join([self.name, "@".join(networks)]) if networks else self.name


class Interval(Frozen):
    """A part of the steps, from 0, the first, to 1, the last; as text "0.2-0.8"."""

    start: float = Field(default=0.0, ge=0, lt=1, description="Where it begins.")
    stop: float = Field(default=1.0, gt=0, le=1, description="Where it ends.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = re.fullmatch(r"(\d*\.?\d+)-(\d*\.?\d+)", value)
        if found is None:
            raise ValueError(f"{value!r} is not of the form START-STOP, such as 0.2-0.8")
        return {"start": float(found[1]), "stop": float(found[2])}

    @model_validator(mode="after")
    def _in_order(self) -> Interval:
        if self.start >= self.stop:
            raise ValueError(f"{self} ends before it begins")
        return self

    def __str__(self) -> str:
        return f"{self.start:g}-{self.stop:g}"


class ControlUse(Frozen):
    """What a picture's structure is taken from, and how strongly; as text "kind=path" or "kind=path:weight"."""

    kind: Name = Field(description="How the guide picture is made from the photograph: canny, depth, given.")
    path: Annotated[Name, Refers("picture")] = Field(
        description="The photograph, or for the kind given the guide picture itself."
    )
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
