"""A restored adapter: its trained tensors on its base model, as they were when training ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from pydantic import BaseModel

from limner.core.errors import LimnerError
from limner.core.events import Emit
from limner.core.protocols import Components, Facts, SubjectWords, Trainable
from limner.core.requests import InfluenceRequest, TrainRequest
from limner.engine.train.continuation import training_of
from limner.models import loading
from limner.models.adapters import Adapter, check_base
from limner.models.devices import memory_errors, pick_device, pick_dtype
from limner.plugins import registry

LESS_MEMORY = "use another --device, or --precision bf16"


@dataclass(frozen=True)
class RestoredAdapter:
    """A base model with an adapter's tensors attached, ready for gradients. request: the training's."""

    request: TrainRequest
    options: BaseModel
    model: loading.Model
    facts: Facts
    components: Components
    trainable: Trainable

    @property
    def trains_text(self) -> bool:
        return registry.methods.get(self.request.method).trains_text(self.options)


@contextmanager
def restored(adapter: Adapter, request: InfluenceRequest, device: str, emit: Emit) -> Iterator[RestoredAdapter]:
    """The adapter on its base model while it is open; afterwards the base is unloaded.

    The request may name another base model, with another autoencoder, than the adapter does.
    """
    training, options = training_of(adapter)
    base = resolve_base(adapter, training, request.model, request.vae)
    place = pick_device(device)
    dtype = pick_dtype(request.precision, place)
    method = registry.methods.get(training.method)
    subject = SubjectWords(training.identifier or "", training.class_word)
    try:
        with memory_errors(LESS_MEMORY):
            components = loading.load(base, torch.float32 if place.type == "cpu" else dtype, place)
            check_base(adapter, base, components.architecture, emit)
            facts = replace(base.family.facts, defaults=base.defaults)
            method.check(facts, options, subject)
            trainable = method.attach(components, facts, options, subject, training.seed)
            method.restore(trainable, adapter.file)
            yield RestoredAdapter(training, options, base, facts, components, trainable)
    finally:
        loading.unload_all()


def resolve_base(adapter: Adapter, training: TrainRequest, model: str | None, vae: str | None) -> loading.Model:
    """The base model, by default that of the training; LimnerError where it is not available."""
    if model is None:
        model, vae = training.model, vae or training.vae
        # The file may come from a stranger: it must not make us download anything.
        for flag, part in (("--model", model), ("--vae", vae)):
            if part is not None and loading.needs_download(part):
                raise LimnerError(
                    f"adapter {adapter.name!r} was trained on {part!r}, which is not on disk",
                    f"if you trust that model, add {flag} {part}",
                )
    try:
        return loading.resolve(model, vae)
    except LimnerError as error:
        raise LimnerError(
            f"the base model of adapter {adapter.name!r} is not available: {error.problem}", "name it by --model"
        ) from error
