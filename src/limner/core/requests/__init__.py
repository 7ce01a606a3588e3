"""Requests: all that a user can ask for. The flags, HTTP bodies, recipes and image labels describe the same models."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union

from pydantic import Field, TypeAdapter

from limner.core.files import expand_home
from limner.core.kinds import KINDS
from limner.core.requests.compare import CompareRequest
from limner.core.requests.evaluate import EvaluateRequest, Requirement
from limner.core.requests.generate import GenerateRequest, GenerationSettings
from limner.core.requests.improve import ImproveRequest
from limner.core.requests.influence import InfluenceRequest
from limner.core.requests.prepare import Limit, PrepareRequest
from limner.core.requests.request import (
    Flag,
    Frozen,
    Heading,
    Name,
    Precision,
    ReferenceKind,
    Refers,
    Request,
    reference_fields,
    references_of,
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
    "GenerationSettings",
    "Heading",
    "ImproveRequest",
    "InfluenceRequest",
    "Interval",
    "KnownRequest",
    "Limit",
    "MetricUse",
    "Name",
    "Precision",
    "PrepareRequest",
    "ReferenceKind",
    "Refers",
    "Request",
    "Requirement",
    "SweepRequest",
    "TrainRequest",
    "TrialRequest",
    "absolute_paths",
    "parse_request",
    "reference_fields",
    "references_of",
    "replace_references",
]

if TYPE_CHECKING:
    KnownRequest = AnyRequest = Request
else:
    KnownRequest = Union[tuple(kind.load_request() for kind in KINDS.values())]  # noqa: UP007
    AnyRequest = Annotated[KnownRequest, Field(discriminator="kind")]
"""A request of any registered kind. AnyRequest is for pydantic, which distinguishes kinds by the field `kind`."""
Asked = TypeVar("Asked", bound=Frozen)
_ANY: TypeAdapter[KnownRequest] = TypeAdapter(AnyRequest)


def parse_request(value: str | dict[str, Any]) -> KnownRequest:
    """A request from JSON text or a dictionary; raises pydantic's ValidationError."""
    return _ANY.validate_json(value) if isinstance(value, str) else _ANY.validate_python(value)


def replace_references(request: Asked, place: Callable[[str], str], model: Callable[[str], str] | None = None) -> Asked:
    """The request with each reference to a file or folder replaced by `place`, and each to a model by `model`.

    model: `place` if it is not given.
    """
    to_model = model or place
    return request.with_references(lambda kind, value: to_model(value) if kind == "model" else place(value))


def absolute_paths(request: Asked, names: Container[str] = ()) -> Asked:
    """The request with its local paths made absolute, so that it means the same from any folder.

    names: strings that are not paths even if a folder has that name (the aliases of models).
    """

    def absolute(path: str) -> str:
        try:
            place = expand_home(path)
            return str(place.resolve()) if place.exists() and path not in names else path
        except (OSError, RuntimeError, ValueError):
            return path

    return replace_references(request, absolute)
