"""An adapter on its base as it was when training ended, so that what it learnt can be looked into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import torch
from pydantic import BaseModel, ValidationError

from limner.core.errors import LimnerError
from limner.core.events import Emit
from limner.core.execution import body_model, split_body
from limner.core.protocols import Components, Facts, Subject, Trainable
from limner.core.requests import TrainRequest
from limner.models import loading
from limner.models.adapters import Adapter, check_base
from limner.models.devices import memory_told, pick_device, pick_dtype
from limner.plugins import registry

LESS_MEMORY = "use another --device, or --precision bf16"


@dataclass(frozen=True)
class Taught:
    """A base model with what an adapter taught attached to it. request: the training's."""

    request: TrainRequest
    options: BaseModel
    model: loading.Model
    facts: Facts
    components: Components
    trainable: Trainable

    @property
    def teaches_text(self) -> bool:
        return registry.methods.get(self.request.method).teaches_text(self.options)


def training_of(adapter: Adapter) -> tuple[TrainRequest, BaseModel]:
    """The request that an adapter was trained by, and its method's options, from its header."""
    try:
        body = cast(TrainRequest, body_model("train").model_validate(adapter.facts["request"]))
        request, _ = split_body(body)
        return request, registry.methods.get(request.method).Options.model_validate(request.options)
    except (KeyError, ValidationError) as error:
        raise LimnerError(
            f"adapter {adapter.name!r} does not tell how it was trained", "give one that `limner train` made"
        ) from error


@contextmanager
def taught(
    adapter: Adapter, model: str | None, vae: str | None, device: str, precision: str, emit: Emit
) -> Iterator[Taught]:
    """The adapter on its base model while it is open; afterwards the base is forgotten.

    model: the base, where it is not the one that the adapter names; then with this autoencoder.
    """
    request, options = training_of(adapter)
    base = resolved(adapter, request.model if model is None else model, vae or (request.vae if model is None else None))
    place = pick_device(device)
    wished = pick_dtype(precision, place)
    method = registry.methods.get(request.method)
    words = Subject(request.identifier or "", request.class_word)
    try:
        with memory_told(LESS_MEMORY):
            components = loading.load(base, torch.float32 if place.type == "cpu" else wished, place)
            check_base(adapter, base, components.architecture, emit)
            facts = replace(base.family.facts, defaults=base.defaults)
            method.check(facts, options, words)
            trainable = method.attach(components, facts, options, words, request.seed)
            method.restore(trainable, adapter.file)
            yield Taught(request, options, base, facts, components, trainable)
    finally:
        loading.forget()


def resolved(adapter: Adapter, model: str, vae: str | None) -> loading.Model:
    try:
        return loading.resolve(model, vae)
    except LimnerError as error:
        raise LimnerError(
            f"the base model of adapter {adapter.name!r} is not to be had: {error.problem}", "name it by --model"
        ) from error
