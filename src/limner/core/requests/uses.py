"""Parts of requests that also have a text form: adapters, controls, metrics, contestants and intervals."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from limner.core.requests.parsing import join_parts, join_weight, parse_decimal, split_parts, split_weight
from limner.core.requests.request import Frozen, Name, Refers

MAX_ADAPTERS = 8
"""Most adapters of a contestant."""


class AdapterUse(Frozen):
    """An adapter and its weight; as text "path" or "path:weight"."""

    path: Annotated[Name, Refers("weights")] = Field(description="Folder or .safetensors file of the adapter.")
    weight: float = Field(default=1.0, ge=-4, le=4, description="Weight; 0 disables it, 1 is as trained.")

    @classmethod
    def from_text(cls, text: str) -> Any:
        path, weight = split_weight(text)
        return {"path": path, "weight": weight}

    def __str__(self) -> str:
        return join_weight(self.path, self.weight)


class Contestant(Frozen):
    """What is compared or evaluated; as text MODEL, ADAPTER, ADAPTER:WEIGHT, MODEL+ADAPTER:WEIGHT with one or more
    adapters, or a folder of images. A + in a name is written ++.

    model: a model, an adapter that is used with the model it was trained on, or a folder of images: which of them, only
    the files show (`limner.engine.compare.targets`).
    """

    longest_text: ClassVar[int] = 2**17
    model: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Model; or an adapter alone, or a folder of images."
    )
    adapter: tuple[AdapterUse, ...] = Field(
        default=(), max_length=MAX_ADAPTERS, description="Adapters used with the model."
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
    def _not_empty(self) -> Contestant:
        if self.model is None and not self.adapter:
            raise ValueError("a contestant has neither a model nor an adapter; give one")
        return self

    @property
    def may_lack_base(self) -> bool:
        """Whether it is an adapter without a base model, or an upload, which may be one."""
        return self.model is None or self.model.startswith(("sha256:", "folder:"))

    @property
    def may_adapt(self) -> bool:
        """Whether it uses an adapter, or is an upload, which may be one."""
        return bool(self.adapter) or self.may_lack_base

    def __str__(self) -> str:
        return join_parts([*([self.model] if self.model else []), *map(str, self.adapter)], "+")


class MetricUse(Frozen):
    """A metric and the network that it uses; as text "name", "name=model" or "name=model@encoder". A @ in a name is
    written @@.
    """

    name: Name = Field(description="Name of the metric.")
    model: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Network that it uses: a folder, a .safetensors file or a Hugging Face id."
    )
    encoder: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Encoder whose features the head reads, if `model` is a head."
    )

    @classmethod
    def from_text(cls, text: str) -> Any:
        name, _, networks = text.partition("=")
        model, *encoder = split_parts(networks, "@")
        if len(encoder) > 1 or (encoder and not (model and encoder[0])):
            raise ValueError(f"{text[:80]!r} is not of the form {name[:40]}=HEAD@ENCODER; write a @ in a name as @@")
        return {"name": name, "model": model or None, "encoder": encoder[0] if encoder else None}

    @model_validator(mode="after")
    def _encoder_needs_head(self) -> MetricUse:
        if self.encoder is not None and self.model is None:
            raise ValueError(f"the metric {self.name!r} has an encoder but no head; give the head as model")
        return self

    def __str__(self) -> str:
        networks = [part for part in (self.model, self.encoder) if part is not None]
        return f"{self.name}={join_parts(networks, '@')}" if networks else self.name


class Interval(Frozen):
    """A part of the steps, from 0 (the first) to 1 (the last); as text "0.2-0.8"."""

    start: float = Field(default=0.0, ge=0, lt=1, description="Start.")
    stop: float = Field(default=1.0, gt=0, le=1, description="End.")

    @classmethod
    def from_text(cls, text: str) -> Any:
        start, _, stop = text.partition("-")
        found = {"start": parse_decimal(start), "stop": parse_decimal(stop)}
        if None in found.values():
            raise ValueError(f"{text[:80]!r} is not of the form START-STOP, such as 0.2-0.8")
        return found

    @model_validator(mode="after")
    def _start_before_end(self) -> Interval:
        if self.start >= self.stop:
            raise ValueError(f"{self} ends before it begins")
        return self

    def __str__(self) -> str:
        return f"{self.start:g}-{self.stop:g}"


class ControlUse(Frozen):
    """An image whose structure is used by a ControlNet, with a weight; as text "kind=path" or "kind=path:weight"."""

    kind: Name = Field(
        description="How the control image is made from the image: canny, depth, or given (used as it is)."
    )
    path: Annotated[Name, Refers("picture")] = Field(
        description="The image; for the kind given, the control image itself."
    )
    weight: float = Field(default=1.0, ge=0, le=4, description="Weight; 0 disables it.")

    @classmethod
    def from_text(cls, text: str) -> Any:
        kind, equals, rest = text.partition("=")
        if not equals:
            raise ValueError(f"{text[:80]!r} is not of the form KIND=IMAGE, such as canny=photo.png")
        path, weight = split_weight(rest)
        return {"kind": kind, "path": path, "weight": weight}

    def __str__(self) -> str:
        return f"{self.kind}={join_weight(self.path, self.weight)}"
