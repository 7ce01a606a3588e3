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


def relocated(
    request: GenerateRequest | TrainRequest, place: Callable[[str], str], model: Callable[[str], str] | None = None
) -> GenerateRequest | TrainRequest:
    """The request with every reference in it replaced: to a file or a folder by what `place` makes of it, to a model or
    a part of one by what `model` does, which is the same where it is not given.
    """
    model = model or place

    def moved(make: Callable[[str], str], reference: str | None) -> str | None:
        return None if reference is None else make(reference)

    changes: dict[str, Any] = {name: moved(model, getattr(request, name)) for name in ("model", "vae")}
    if isinstance(request, TrainRequest):
        return request.model_copy(update={**changes, "data": place(request.data)})
    for name in ("adapter", "control"):
        changes[name] = tuple(use.model_copy(update={"path": place(use.path)}) for use in getattr(request, name))
    for name in ("image", "mask"):
        changes[name] = moved(place, getattr(request, name))
    changes["refiner"] = moved(model, request.refiner)
    changes["control_model"] = tuple(model(reference) for reference in request.control_model)
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
