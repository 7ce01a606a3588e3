"""What a user can ask for. One frozen model is the CLI's flags, the HTTP body, the recipe and the text in a PNG."""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from .generate import GenerateRequest
from .request import Flag, Frozen, Name, Precision, Request
from .train import TrainRequest
from .uses import AdapterUse, ControlUse

__all__ = [
    "AdapterUse",
    "AnyRequest",
    "ControlUse",
    "Flag",
    "Frozen",
    "GenerateRequest",
    "Name",
    "Precision",
    "Request",
    "TrainRequest",
    "absolute",
    "parse_request",
    "relocated",
]

AnyRequest = Annotated[GenerateRequest | TrainRequest, Field(discriminator="kind")]
_ANY: TypeAdapter[GenerateRequest | TrainRequest] = TypeAdapter(AnyRequest)


def parse_request(value: str | dict[str, Any]) -> GenerateRequest | TrainRequest:
    """A request from its JSON text or its plain dictionary; raises pydantic's ValidationError."""
    return _ANY.validate_json(value) if isinstance(value, str) else _ANY.validate_python(value)


def relocated(request: GenerateRequest | TrainRequest, place: Callable[[str], str]) -> GenerateRequest | TrainRequest:
    """The request with every reference to a file, a folder or a model in it replaced by what `place` makes of it."""

    def moved(reference: str | None) -> str | None:
        return None if reference is None else place(reference)

    if isinstance(request, TrainRequest):
        return request.model_copy(update={name: moved(getattr(request, name)) for name in ("data", "model", "vae")})
    changes: dict[str, Any] = {}
    for name in ("adapter", "control"):
        changes[name] = tuple(use.model_copy(update={"path": place(use.path)}) for use in getattr(request, name))
    for name in ("model", "vae", "image", "mask", "refiner"):
        changes[name] = moved(getattr(request, name))
    changes["control_model"] = tuple(place(reference) for reference in request.control_model)
    return request.model_copy(update=changes)


def absolute(request: GenerateRequest | TrainRequest, names: Container[str] = ()) -> GenerateRequest | TrainRequest:
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
