"""What a request uses: adapters, controls, metrics and contestants, as fields and as text."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from limner.core.requests.request import Frozen, Name, Refers
from limner.core.requests.parsing import parse_decimal, join_parts, split_parts, split_weight, join_weight

MAX_ADAPTERS = 8
"""The most adapters of a contestant."""


class AdapterUse(Frozen):
    """An adapter and how strongly it acts; as text "path" or "path:weight"."""

    path: Annotated[Name, Refers("weights")] = Field(description="Folder or .safetensors file of the adapter.")
    weight: float = Field(default=1.0, ge=-4, le=4, description="Strength; 0 switches it off, 1 is as trained.")

    @classmethod
    def from_text(cls, text: str) -> Any:
        path, weight = split_weight(text)
        return {"path": path, "weight": weight}

    def __str__(self) -> str:
        return join_weight(self.path, self.weight)


class Contestant(Frozen):
    """What is compared with others; as text MODEL, ADAPTER, ADAPTER:WEIGHT, or MODEL+ADAPTER:WEIGHT with one or more
    adapters. A + that belongs to a name is written ++.

    model: a model, or an adapter by itself, which then acts on the model that it was taught on.
    """

    longest_text: ClassVar[int] = 2**17
    model: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Model, or where an adapter stands by itself, that adapter."
    )
    adapter: tuple[AdapterUse, ...] = Field(
        default=(), max_length=MAX_ADAPTERS, description="Adapters that act on the model."
    )

    @classmethod
    def from_text(cls, text: str) -> Any:
        parts = split_parts(text, "+", MAX_ADAPTERS + 2)
        if not all(parts):
            raise ValueError(f"{text[:80]!r} is not of the form MODEL, ADAPTER:WEIGHT or MODEL+ADAPTER:WEIGHT")
        first, *rest = parts
        weighed = split_weight(first)[0] != first
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
        return join_parts([*([self.model] if self.model else []), *map(str, self.adapter)], "+")


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

    @classmethod
    def from_text(cls, text: str) -> Any:
        name, _, networks = text.partition("=")
        model, *encoder = split_parts(networks, "@")
        if len(encoder) > 1 or (encoder and not (model and encoder[0])):
            raise ValueError(
                f"{text[:80]!r} names no head and encoder; write {name[:40]}=HEAD@ENCODER, and a @ in a name as @@"
            )
        return {"name": name, "model": model or None, "encoder": encoder[0] if encoder else None}

    @model_validator(mode="after")
    def _of_a_head(self) -> MetricUse:
        if self.encoder is not None and self.model is None:
            raise ValueError(f"the metric {self.name!r} has an encoder and no head; name it as model")
        return self

    def __str__(self) -> str:
        networks = [part for part in (self.model, self.encoder) if part is not None]
        return f"{self.name}={join_parts(networks, '@')}" if networks else self.name


class Interval(Frozen):
    """A part of the steps, from 0, the first, to 1, the last; as text "0.2-0.8"."""

    start: float = Field(default=0.0, ge=0, lt=1, description="Where it begins.")
    stop: float = Field(default=1.0, gt=0, le=1, description="Where it ends.")

    @classmethod
    def from_text(cls, text: str) -> Any:
        start, _, stop = text.partition("-")
        found = {"start": parse_decimal(start), "stop": parse_decimal(stop)}
        if None in found.values():
            raise ValueError(f"{text[:80]!r} is not of the form START-STOP, such as 0.2-0.8")
        return found

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

    @classmethod
    def from_text(cls, text: str) -> Any:
        kind, equals, rest = text.partition("=")
        if not equals:
            raise ValueError(f"{text[:80]!r} is not of the form KIND=PICTURE, such as canny=photo.png")
        path, weight = split_weight(rest)
        return {"kind": kind, "path": path, "weight": weight}

    def __str__(self) -> str:
        return f"{self.kind}={join_weight(self.path, self.weight)}"
