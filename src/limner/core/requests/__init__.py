"""What a user can ask for. One frozen model is the CLI's flags, the HTTP body, the recipe and the text in a PNG."""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter

from limner.core.requests.compare import CompareRequest
from limner.core.requests.evaluate import EvaluateRequest, Requirement
from limner.core.requests.generate import GenerateRequest
from limner.core.requests.generation import GenerationSettings
from limner.core.requests.influence import InfluenceRequest
from limner.core.requests.prepare import FaultLimit, PrepareRequest
from limner.core.requests.request import (
    Flag,
    Frozen,
    ReferenceKind,
    Name,
    Precision,
    Refers,
    Request,
    references_of,
    reference_fields,
)
from limner.core.requests.sweep import Axis, Cell, SweepRequest
from limner.core.requests.train import TrainRequest
from limner.core.requests.trial import TrialRequest
from limner.core.requests.uses import AdapterUse, Contestant, ControlUse, Interval, MetricUse

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
    "referring_fields",
    "relocated",
]

KnownRequest = (
    GenerateRequest | TrainRequest | SweepRequest | CompareRequest | InfluenceRequest | EvaluateRequest | PrepareRequest
)
AnyRequest = Annotated[KnownRequest, Field(discriminator="kind")]
Asked = TypeVar("Asked", bound=Frozen)
_ANY: TypeAdapter[KnownRequest] = TypeAdapter(AnyRequest)


def parse_request(value: str | dict[str, Any]) -> KnownRequest:
    """A request from its JSON text or its plain dictionary; raises pydantic's ValidationError."""
    return _ANY.validate_json(value) if isinstance(value, str) else _ANY.validate_python(value)


def replace_references(request: Asked, place: Callable[[str], str], model: Callable[[str], str] | None = None) -> Asked:
    """The request with every reference in it replaced: to a file or a folder by what `place` makes of it, to a model or
    a part of one by what `model` does, which is the same where it is not given.
    """
    to_model = model or place
    return request.with_references(lambda kind, value: to_model(value) if kind == "model" else place(value))


def absolute_paths(request: Asked, names: Container[str] = ()) -> Asked:
    """The request with its local paths made absolute, so that it means the same from any folder.

    names: words that are no paths even where a folder is called so (the aliases of models).
    """

    def full(path: str) -> str:
        try:
            place = Path(path).expanduser()
            return str(place.resolve()) if place.exists() and path not in names else path
        except (OSError, RuntimeError, ValueError):
            return path

    return replace_references(request, full)
