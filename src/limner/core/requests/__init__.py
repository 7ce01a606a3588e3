"""What a user can ask for. One frozen model is the CLI's flags, the HTTP body, the recipe and the text in a PNG."""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import Field, TypeAdapter

from .compare import CompareRequest
from .evaluate import EvaluateRequest, Requirement
from .generate import GenerateRequest
from .influence import InfluenceRequest
from .painting import Painting
from .prepare import Limit, PrepareRequest
from .request import Flag, Frozen, Kind, Name, Precision, Refers, Request, referred, refers
from .sweep import Axis, Cell, SweepRequest
from .train import TrainRequest
from .trial import Trial
from .uses import AdapterUse, Contestant, ControlUse, Interval, MetricUse

__all__ = [
    "AdapterUse",
    "AnyRequest",
    "Axis",
    "Cell",
    "CompareRequest",
    "Contestant",
    "ControlUse",
    "EvaluateRequest",
    "Flag",
    "Frozen",
    "GenerateRequest",
    "InfluenceRequest",
    "Interval",
    "Kind",
    "Known",
    "Limit",
    "MetricUse",
    "Name",
    "Painting",
    "Precision",
    "PrepareRequest",
    "Refers",
    "Request",
    "Requirement",
    "SweepRequest",
    "TrainRequest",
    "Trial",
    "absolute",
    "parse_request",
    "referred",
    "relocated",
]

Known = (
    GenerateRequest | TrainRequest | SweepRequest | CompareRequest | InfluenceRequest | EvaluateRequest | PrepareRequest
)
AnyRequest = Annotated[Known, Field(discriminator="kind")]
Asked = TypeVar("Asked", bound=Frozen)
_ANY: TypeAdapter[Known] = TypeAdapter(AnyRequest)


def parse_request(value: str | dict[str, Any]) -> Known:
    """A request from its JSON text or its plain dictionary; raises pydantic's ValidationError."""
    return _ANY.validate_json(value) if isinstance(value, str) else _ANY.validate_python(value)


def relocated(request: Asked, place: Callable[[str], str], model: Callable[[str], str] | None = None) -> Asked:
    """The request with every reference in it replaced: to a file or a folder by what `place` makes of it, to a model or
    a part of one by what `model` does, which is the same where it is not given.
    """
    model = model or place

    def moved(value: Any, make: Callable[[str], str] | None) -> Any:
        if isinstance(value, tuple):
            return tuple(moved(part, make) for part in cast(tuple[Any, ...], value))
        if isinstance(value, Frozen):
            return relocated(value, place, model)
        return value if make is None or value is None else make(value)

    changes: dict[str, Any] = {}
    for name, field in type(request).model_fields.items():
        kind = refers(field)
        make = None if kind is None else model if kind == "model" else place
        before = getattr(request, name)
        if (after := moved(before, make)) != before:
            changes[name] = after
    return request.model_copy(update=changes)


def absolute(request: Asked, names: Container[str] = ()) -> Asked:
    """The request with its local paths made absolute, so that it means the same from any folder.

    names: words that are no paths even where a folder is called so (the aliases of models).
    """

    def full(path: str) -> str:
        try:
            place = Path(path).expanduser()
            return str(place.resolve()) if place.exists() and path not in names else path
        except (OSError, RuntimeError, ValueError):
            return path

    return relocated(request, full)
