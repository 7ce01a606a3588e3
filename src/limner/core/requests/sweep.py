"""A wish to see what a setting does: the same picture over and over, with one to three fields varied."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cached_property
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from .generate import GenerateRequest
from .painting import Painting
from .request import Flag, Frozen, Name, Prompt, Refers
from .uses import MetricUse

MOST = 10_000
"""The most pictures of a sweep."""
AXES = 3
FIXED = {"kind", "count", "device", "precision", "batch", "memory"}
"""Fields of a generate request that no axis varies."""


class Axis(Frozen):
    """A field and the values that it takes; as text "guidance=1.5,5.0,7.5"."""

    field: Name = Field(description="Field of a generate request.")
    values: tuple[Prompt, ...] = Field(min_length=1, max_length=1000, description="Its values, as they are typed.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        field, equals, values = value.partition("=")
        if not equals or not all(part.strip() for part in values.split(",")):
            raise ValueError(f"{value!r} is not of the form FIELD=VALUE,VALUE, such as guidance=1.5,5.0,7.5")
        return {"field": field.strip().replace("-", "_"), "values": [part.strip() for part in values.split(",")]}

    @model_validator(mode="after")
    def _known(self) -> Axis:
        known = sorted(set(GenerateRequest.model_fields) - FIXED)
        if self.field not in known:
            near = get_close_matches(self.field, known, n=1, cutoff=0.6)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"there is no axis {self.field!r}; {guess}choose one of: {', '.join(known)}")
        twice = next((value for value in self.values if self.values.count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"the axis {self.field} names {twice[:80]!r} twice; name each value once")
        return self


class Cell(Frozen):
    """One place of a sweep. values: those of its axes, as they are typed. request: what is painted there."""

    values: tuple[str, ...]
    request: GenerateRequest


class SweepRequest(Painting):
    """Paint the same with one to three settings varied, side by side, and measure what they do."""

    kind: Annotated[Literal["sweep"], Flag(hidden=True)] = "sweep"
    prompt: Annotated[tuple[Prompt, ...], Flag(positional=True)] = Field(
        default=(), max_length=1000, description="What to paint; several are an axis."
    )
    axis: tuple[Axis, ...] = Field(
        default=(),
        description="Field to vary and its values, such as guidance=1.5,5.0,7.5; may be repeated. prompt=FILE takes "
        "the lines of a file.",
    )
    seeds: int = Field(
        default=4, ge=1, le=1000, description="How many seeds each cell is painted from, from --seed on; all the same."
    )
    metric: tuple[MetricUse, ...] = Field(
        default=(), description="Metric, as NAME or NAME=MODEL; may be repeated (default: what guidance changes)."
    )
    encoder: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Network that metrics see with: a folder or Hugging Face id (default: the starter's)."
    )
    trajectory: bool = Field(
        default=False, description="Show noise becoming the first picture, step by step, as a strip and an animation."
    )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """All axes, that of several prompts before the others."""
        prompts = (Axis(field="prompt", values=self.prompt),) if len(self.prompt) > 1 else ()
        return (*prompts, *self.axis)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All places, the last axis varying fastest."""
        return tuple(self._cells())

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.request.prompt for cell in self.cells))

    @property
    def name(self) -> str:
        return "sweep"

    @property
    def about(self) -> str:
        return f"{' x '.join(axis.field for axis in self.axes)} of {self.words[0]}"

    @property
    def pictures(self) -> int:
        return len(self.cells) * self.seeds

    @property
    def pixels(self) -> float:
        return max(cell.request.pixels for cell in self.cells)

    def _cells(self) -> Iterator[Cell]:
        fixed = self.model_dump(include=set(Painting.model_fields)) | {"count": self.seeds}
        fixed |= {"prompt": self.prompt[0]} if self.prompt else {}
        for values in product(*(axis.values for axis in self.axes)):
            varied = {axis.field: typed(axis.field, value) for axis, value in zip(self.axes, values, strict=True)}
            yield Cell(values=values, request=GenerateRequest.model_validate(fixed | varied))

    @model_validator(mode="after")
    def _possible(self) -> SweepRequest:
        fields = [axis.field for axis in self.axes]
        if not 1 <= len(fields) <= AXES:
            raise ValueError(
                f"a sweep has one to three axes, and this one {len(fields)}; write --axis guidance=3,5,7.5"
            )
        for field in fields:
            if fields.count(field) > 1:
                raise ValueError(f"the axis {field} is given twice; write all values behind one --axis")
            known = type(self).model_fields.get(field)
            if field != "prompt" and known is not None and (value := getattr(self, field)) != known.default:
                raise ValueError(f"{field} is an axis, and {value} besides; leave one of them out")
        if not self.prompt and "prompt" not in fields:
            raise ValueError("the prompt is missing; say what to paint")
        count = self.seeds
        for axis in self.axes:
            count *= len(axis.values)
        if count > MOST:
            raise ValueError(f"the sweep is of {count:,} pictures, and {MOST:,} are the most; vary less")
        try:
            _ = self.cells
        except ValidationError as error:
            item = error.errors()[0]
            told = item["msg"].removeprefix("Value error, ")
            raise ValueError(f"{'.'.join(map(str, item['loc']))} {str(item['input'])[:80]!r}: {told}") from error
        return self


def typed(field: str, value: str) -> Any:
    """A value of an axis as its field takes it: "none" leaves a field open, "+" joins what a field holds several of."""
    several = field in ("adapter", "control", "control_model")
    if value == "none":
        return () if several else None
    return value.split("+") if several else value
