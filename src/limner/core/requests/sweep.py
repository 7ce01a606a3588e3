"""Request to generate the same images with one to three settings varied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from itertools import product
from math import prod
from typing import Annotated, Any, ClassVar, Literal, Self, cast, get_origin

from pydantic import Field, ValidationError, create_model, model_validator

from limner.core.errors import LimnerError
from limner.core.nearest_name import nearest_name
from limner.core.requests.generate import GenerateRequest, GenerationSettings
from limner.core.requests.parsing import find_repeated, join_parts, split_parts
from limner.core.requests.request import (
    MAX_METRICS,
    Change,
    Choices,
    Flag,
    Frozen,
    Heading,
    Name,
    Prompt,
    Refers,
    Trait,
    fields_with,
)
from limner.core.requests.uses import MetricUse
from limner.core.value_errors import describe_value_error

MAX_SWEEP_IMAGES = 10_000
"""Most images of a sweep."""
MAX_AXES = 3
MAX_VALUES = 1000
"""Most values of an axis."""


class Axis(Frozen):
    """A field and its values; as text "guidance=1.5,5.0,7.5"."""

    longest_text: ClassVar[int] = 2**20
    field: Name = Field(description="Field of a generate request.")
    values: tuple[Prompt, ...] = Field(min_length=1, max_length=MAX_VALUES, description="Its values, as text.")

    @classmethod
    def from_text(cls, text: str) -> Any:
        field, equals, rest = text.partition("=")
        values = [part.strip() for part in rest.split(",", MAX_VALUES)]
        if not equals or not all(values):
            raise ValueError(f"{text[:80]!r} is not of the form FIELD=VALUE,VALUE, such as guidance=1.5,5.0,7.5")
        return {"field": field.strip().lstrip("-").replace("-", "_"), "values": values}

    def __str__(self) -> str:
        return f"{self.field}={','.join(self.values)}"

    @model_validator(mode="after")
    def _known_field(self) -> Axis:
        fixed = fields_with(GenerateRequest, Trait.NOT_VARIED)
        known = sorted(GenerateRequest.model_fields.keys() - fixed)
        if self.field not in known:
            near = nearest_name(self.field, known)
            guess = f"did you mean {near!r}? " if near else ""
            raise ValueError(f"there is no axis {self.field[:80]!r}; {guess}choose one of: {', '.join(known)}")
        if (twice := find_repeated(self.values)) is not None:
            raise ValueError(f"the axis {self.field} has {twice[:80]!r} twice; give each value once")
        return self

    def with_references(self, change: Change) -> Self:
        """The same with the references in its values replaced, which are those of the varied field."""
        values = tuple(_with_references(self.field, value, change) for value in self.values)
        if values == self.values:
            return self
        return self.model_construct(self.model_fields_set, field=self.field, values=values)


class Cell(Frozen):
    """One combination of values. values: one of each axis, as text. request: what generates its images."""

    values: tuple[str, ...]
    request: GenerateRequest


class SweepRequest(GenerationSettings):
    """Generate the same images with one to three settings varied, and score the difference."""

    kind: Annotated[Literal["sweep"], Flag(hidden=True)] = "sweep"
    prompt: Annotated[tuple[Prompt, ...], Flag(positional=True)] = Field(
        default=(), max_length=1000, description="Prompt to generate images for; several prompts are an axis."
    )
    axis: Annotated[tuple[Axis, ...], Heading.BASICS] = Field(
        default=(),
        max_length=16,
        description="Setting to vary and its values, such as guidance=1.5,5.0,7.5; may be repeated. prompt=FILE "
        "reads one prompt per line.",
    )
    seeds: Annotated[int, Heading.BASICS] = Field(
        default=4,
        ge=1,
        le=1000,
        description="Number of seeds, from `seed` on; the same for every combination of values.",
    )
    metric: Annotated[tuple[MetricUse, ...], Heading.SCORES, Choices("metrics")] = Field(
        default=(),
        max_length=MAX_METRICS,
        description="Metric, as NAME or NAME=MODEL; may be repeated (default: prompt_fidelity, saturation, clipping,"
        " sharpness and, with several seeds, diversity).",
    )
    encoder: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Network of the metrics: a folder or Hugging Face id (default: the starter's)."
    )
    trajectory: bool = Field(
        default=False, description="Show the denoising of the first image step by step, as a strip and an animation."
    )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """All axes; several prompts are the first one."""
        prompts = (Axis(field="prompt", values=self.prompt),) if len(self.prompt) > 1 else ()
        return (*prompts, *self.axis)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All combinations, the last axis varying fastest; raises LimnerError for an invalid one."""
        try:
            return tuple(self._cells([axis.values for axis in self.axes]))
        except ValidationError as error:
            raise LimnerError(_problem(error)) from error

    @property
    def texts(self) -> tuple[str, ...]:
        return next((axis.values for axis in self.axes if axis.field == "prompt"), self.prompt)

    @property
    def folder_name(self) -> str:
        return "sweep"

    @property
    def summary(self) -> str:
        return f"{' x '.join(axis.field for axis in self.axes)} of {self.texts[0]}"

    @property
    def image_count(self) -> int:
        return prod(len(axis.values) for axis in self.axes) * self.seeds

    @property
    def pixels(self) -> float:
        return max(cell.request.pixels for cell in self.cells)

    @property
    def may_quantise(self) -> bool:
        return any(cell.request.may_quantise for cell in self.cells)

    @property
    def may_adapt(self) -> bool:
        return any(cell.request.may_adapt for cell in self.cells)

    def check(self) -> None:
        _ = self.cells

    def _cells(self, values: Sequence[Sequence[str]]) -> Iterator[Cell]:
        """The combinations of some values of each axis; raises pydantic's ValidationError for an invalid one."""
        fixed = {name: getattr(self, name) for name in GenerationSettings.model_fields} | {"count": self.seeds}
        fixed |= {"prompt": self.prompt[0]} if self.prompt else {}
        fields = [axis.field for axis in self.axes]
        read = [
            [(value, getattr(_read(field, value), field)) for value in its]
            for field, its in zip(fields, values, strict=True)
        ]
        for place in product(*read):
            varied = {field: found for field, (_, found) in zip(fields, place, strict=True)}
            request = GenerateRequest.model_validate(fixed | varied)
            yield Cell(values=tuple(value for value, _ in place), request=request)

    @model_validator(mode="after")
    def _valid(self) -> SweepRequest:
        fields = [axis.field for axis in self.axes]
        if not 1 <= len(fields) <= MAX_AXES:
            raise ValueError(
                f"the sweep has {len(fields)} axes, and one to three are possible; write --axis guidance=3,5,7.5"
            )
        if (twice := find_repeated(fields)) is not None:
            raise ValueError(f"the axis {twice} is given twice; give all its values in one --axis")
        for field in fields:
            known = type(self).model_fields.get(field)
            if field != "prompt" and known is not None and (value := getattr(self, field)) != known.default:
                raise ValueError(f"{field} is an axis and is also {value}; leave one of them out")
        if not self.prompt and "prompt" not in fields:
            raise ValueError("the prompt is missing; say what to generate")
        if self.image_count > MAX_SWEEP_IMAGES:
            raise ValueError(
                f"the sweep has {self.image_count:,} images, and the limit is {MAX_SWEEP_IMAGES:,}; vary less"
            )
        first = [axis.values[:1] for axis in self.axes]
        try:  # each value with the first of the others; `check` validates all combinations, which takes longer
            for number, axis in enumerate(self.axes):
                for _ in self._cells([*first[:number], axis.values, *first[number + 1 :]]):
                    pass
        except ValidationError as error:
            raise ValueError(_problem(error)) from error
        return self


def _problem(error: ValidationError) -> str:
    """What is wrong with a combination of values."""
    item = error.errors()[0]
    return f"{'.'.join(map(str, item['loc']))} {str(item['input'])[:80]!r}: {describe_value_error(item)}"


def parse_value(field: str, value: str) -> Any:
    """A value of an axis as its field takes it: "none" is None, and "+" separates the items of a tuple.

    "++" is a + in an item.
    """
    several = get_origin(GenerateRequest.model_fields[field].annotation) is tuple
    if value == "none":
        return () if several else None
    return split_parts(value, "+") if several else value


def _with_references(field: str, value: str, change: Change) -> str:
    """A value of an axis, as text, with the references in it replaced."""
    before = _read(field, value)
    if (after := before.with_references(change)) is before:
        return value
    found = getattr(after, field)
    return join_parts(map(str, cast(tuple[Any, ...], found)), "+") if isinstance(found, tuple) else str(found)


def _read(field: str, value: str) -> Frozen:
    """A value of an axis, in a model with only its field; raises pydantic's ValidationError."""
    return _alone(field).model_validate({field: parse_value(field, value)})


@cache
def _alone(field: str) -> type[Frozen]:
    """A model of one field of a generate request."""
    info = GenerateRequest.model_fields[field]
    return create_model(field, __base__=Frozen, **{field: (info.annotation, info)})  # type: ignore[call-overload]
