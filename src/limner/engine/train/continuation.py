"""How an adapter was trained, and training that goes on from one."""

from __future__ import annotations

from typing import cast

from pydantic import BaseModel, ValidationError

from limner.core.errors import LimnerError
from limner.core.execution import body_model, split_body
from limner.core.requests import TrainRequest
from limner.models.adapters import Adapter, open_adapter
from limner.plugins import registry

MAY_DIFFER = ("dropout", "initial_word")
"""Options that do not change the shapes and the meaning of an adapter's tensors."""


def training_of(adapter: Adapter) -> tuple[TrainRequest, BaseModel]:
    """The request that an adapter was trained by, and its method's options, from its header.

    LimnerError where the header has none, as that of another program's adapter.
    """
    try:
        body = cast(TrainRequest, body_model("train").model_validate(adapter.facts["request"]))
        request, _ = split_body(body)
        return request, registry.methods.get(request.method).Options.model_validate(request.options)
    except (KeyError, ValidationError) as error:
        raise LimnerError(
            f"the header of adapter {adapter.name!r} does not state how it was trained",
            "give one that `limner train` made",
        ) from error


def earlier_adapter(request: TrainRequest) -> tuple[Adapter | None, BaseModel]:
    """The adapter that a request goes on from, if any, and the options of its method.

    An adapter keeps its options. Raises LimnerError for one that another program made, that was trained by another
    method, or whose options differ from those of the request.
    """
    options = registry.methods.get(request.method).Options
    if request.adapter is None:
        return None, options.model_validate(request.options)
    adapter = open_adapter(request.adapter)
    training, own = training_of(adapter)
    if training.method != request.method:
        problem = f"adapter {adapter.name!r} was trained by the method {training.method}, not {request.method}"
        raise LimnerError(problem, f"use --method {training.method}")
    asked = options.model_validate(request.options)
    known = own.model_dump()
    for name in sorted(asked.model_fields_set):
        value = getattr(asked, name)
        if name in MAY_DIFFER:
            known[name] = value
        elif value != known[name]:
            usual = "the model's default" if known[name] is None else repr(known[name])
            problem = f"{name} ({value}) differs from that of adapter {adapter.name!r} ({usual})"
            raise LimnerError(problem, "leave it out, or train without --adapter")
    return adapter, options.model_validate(known)
