"""How a request is executed (device, memory, processes, trackers), and the JSON body that holds request and execution.

A body has the fields of its request and of the execution side by side, as flags, recipes, HTTP bodies, image labels and
adapter headers do. It is split here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, cast

from pydantic import AfterValidator, Field, TypeAdapter, WithJsonSchema, create_model

from limner.core.kinds import KINDS
from limner.core.requests import KnownRequest
from limner.core.requests.request import Frozen, Heading, Label, Request, canonical, digest_of


def _device(name: str) -> str:
    if len(name) > LONGEST_DEVICE or re.fullmatch(DEVICES, name) is None:
        raise ValueError(
            f"{name[:LONGEST_DEVICE]!r} is not a device; use auto, cpu, mps, cuda, or cuda:1 for the second GPU"
        )
    return name


LONGEST_DEVICE, DEVICES = 32, r"(auto|cpu|mps|cuda(:[0-9]+)?)"
Device = Annotated[
    str,
    AfterValidator(_device),
    WithJsonSchema({"type": "string", "maxLength": LONGEST_DEVICE, "pattern": f"^{DEVICES}$"}),
]
Memory = Literal["low", "balanced", "high"]
Asked = TypeVar("Asked", bound=Request)


class Execution(Frozen):
    """How a request is executed. It is no part of the request's digest; each kind of request takes some of it."""

    workers: Annotated[int | None, Heading.EXECUTION] = Field(
        default=None, ge=1, le=1024, description="Number of processes that read images (default: one for each core)."
    )
    executor: Literal["processes", "ray"] = Field(
        default="processes", description="Where images are read: processes of this machine, or ray for a Ray cluster."
    )
    preview_every: Annotated[int, Heading.CHECKPOINTS] = Field(
        default=0, ge=0, description="Number of steps between previews; 0 for no previews."
    )
    track: Annotated[tuple[Literal["tensorboard", "wandb"], ...], Label("Log to")] = Field(
        default=(), max_length=8, description="Tracker that metrics are logged to; may be repeated."
    )
    memory: Annotated[Memory, Heading.MEMORY] = Field(
        default="high",
        description="How much GPU memory to use: high keeps all networks on the GPU; balanced only the one in use; low "
        "also quantises its weights to 4 bits and decodes in tiles.",
    )
    device: Annotated[Device, Heading.MEMORY] = Field(
        default="auto", description="Device to compute on: auto, cpu, cuda, cuda:1 or mps."
    )


def split_fields(fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a body as those of its request and those of its execution."""
    how = {name: value for name, value in fields.items() if name in Execution.model_fields}
    return {name: value for name, value in fields.items() if name not in how}, how


@cache
def body_model(kind: str) -> type[Request]:
    """The model of a kind's body: its request class with the fields of `Execution` that it takes."""
    request = cast(type[Request], KINDS[kind].load_request())
    fields = {name: Execution.model_fields[name] for name in KINDS[kind].execution}
    made: dict[str, Any] = {name: (field.annotation, field) for name, field in fields.items()}
    name, module, doc = request.__name__, request.__module__, request.__doc__
    return create_model(name, __base__=request, __module__=module, __doc__=doc, **made)


def body_of(request: Asked, execution: Execution) -> Asked:
    """The body of a request and its execution."""
    kind = cast(str, cast(Any, request).kind)
    values = {name: getattr(request, name) for name in type(request).model_fields}
    how = {name: getattr(execution, name) for name in KINDS[kind].execution}
    given = request.model_fields_set | (execution.model_fields_set & how.keys())
    return cast(Asked, body_model(kind).model_construct(given, **values, **how))


def split_body(body: Asked) -> tuple[Asked, Execution]:
    """The request and the execution in a body; a request alone has the default execution."""
    kind = KINDS[cast(str, cast(Any, body).kind)]
    if type(body) is kind.load_request():
        return body, Execution()
    values, how = split_fields({name: getattr(body, name) for name in type(body).model_fields})
    request = kind.load_request().model_construct(body.model_fields_set - how.keys(), **values)
    return request, Execution.model_construct(body.model_fields_set & how.keys(), **how)


def as_body(value: Any) -> Any:
    """A request alone as a body; anything else as it is."""
    return body_of(*split_body(value)) if isinstance(value, Request) else value


if TYPE_CHECKING:
    AnyBody = KnownRequest
else:
    AnyBody = Annotated[Union[tuple(map(body_model, KINDS))], Field(discriminator="kind")]  # noqa: UP007
"""A body of any kind, for pydantic."""
_BODY: TypeAdapter[KnownRequest] = TypeAdapter(AnyBody)


def parse_body(value: str | Mapping[str, Any]) -> tuple[KnownRequest, Execution]:
    """Request and execution from a body, as JSON text or as a dictionary; raises pydantic's ValidationError."""
    return split_body(_BODY.validate_json(value) if isinstance(value, str) else _BODY.validate_python(value))


def batch_key(request: Request, execution: Execution) -> str | None:
    """Requests of one key can be executed in one batch; None for a request that is executed alone."""
    key = request.batch_key
    return None if key is None else digest_of([key, execution.model_dump(mode="json")])


def digests_of(request: Request, execution: Execution) -> set[str]:
    """Digests by which results name a request: its own, and the one of its body, as earlier versions wrote it."""
    return {request.digest, digest_of(canonical(body_of(request, execution)))}
