"""A TrainRequest with nothing left open: every value that the run will use."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from limner.core.errors import LimnerError
from limner.core.protocols import Facts, LossOptions
from limner.core.requests import TrainRequest
from limner.data.sets.folder import Scan
from limner.engine.train.optimisers import OPTIMISERS
from limner.plugins import registry


@dataclass(frozen=True)
class Plan:
    """Numbers of one training run. held_out: indices of the pictures that are only watched; validation: whether those
    that the dataset sets aside are watched in their place.
    """

    steps: int
    batch: int
    learning_rate: float
    text_learning_rate: float
    resolution: int
    prior: bool
    class_pictures: int
    prior_target: str
    prior_dropout: float
    held_out: tuple[int, ...]
    validation: bool
    warmup: int
    schedule: str
    objective: LossOptions

    @property
    def rates(self) -> dict[str, float]:
        """The learning rate at its highest, by what learns."""
        return {"denoiser": self.learning_rate, "text": self.text_learning_rate}

    def rate(self, step: int) -> float:
        """Learning rate of a step: a linear rise, then constant, or falling to zero by a cosine or a line."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        progress = min(1.0, step / self.steps)
        fall = {"constant": 1.0, "linear": 1 - progress, "cosine": 0.5 * (1 + math.cos(math.pi * progress))}[
            self.schedule
        ]
        return self.learning_rate * rise * fall


def make_plan(request: TrainRequest, scan: Scan, facts: Facts, native: int, processes: int = 1) -> Plan:
    """Fill what the request leaves open with what suits the model and the method.

    native: the model's own side in pixels.
    """
    method = registry.methods.get(request.method)
    for name in ("class_pictures", "prior_target", "prior_dropout"):
        if method.preserves_class and (value := getattr(request, name)) is not None:
            raise LimnerError(f"{name} ({value}) does nothing: this method cannot change the class", "leave it out")
    count, defaults = len(scan.photographs), facts.defaults
    validation = request.held_out is None and bool(scan.validation)
    alone = int(count >= 8 and not validation)
    watched = alone if request.held_out is None else min(request.held_out, max(0, count - 4))
    batch = request.batch or int(defaults["batch"])
    if batch % (parts := request.accumulation * processes):
        of = f" for {processes} processes" if processes > 1 else ""
        raise LimnerError(
            f"a batch of {batch} cannot be cut into {parts} equal parts{of}",
            f"use a --batch that is a multiple of {parts}, or another --accumulation",
        )
    if request.epochs is not None:
        steps = request.epochs * math.ceil((count - watched) / batch)
    else:
        steps = request.steps or int(defaults["steps"])
    own = OPTIMISERS[request.optimiser].rate
    learning_rate = request.learning_rate or own or method.learning_rate(float(defaults["learning_rate"]))
    return Plan(
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        text_learning_rate=request.text_learning_rate or learning_rate,
        resolution=request.resolution or native,
        prior=request.prior and not method.preserves_class,
        class_pictures=(request.class_pictures or int(defaults["class_pictures"])) if request.prior else 0,
        prior_target=request.prior_target or str(defaults["prior_target"]),
        prior_dropout=float(defaults["prior_dropout"] if request.prior_dropout is None else request.prior_dropout),
        held_out=tuple(range(count - watched, count)),
        validation=validation,
        warmup=min(request.warmup, steps),
        schedule=request.schedule,
        objective=make_objective(request, facts, defaults),
    )


def make_objective(request: TrainRequest, facts: Facts, defaults: Any) -> LossOptions:
    """How the loss is drawn and weighted; refuses a field that means nothing to this family's loss."""
    values: dict[str, Any] = {}
    for name in (known.name for known in fields(LossOptions)):
        value = getattr(request, name)
        if value is not None and name not in facts.loss_options:
            raise LimnerError(
                f"{name} ({value}) means nothing to this kind of model",
                f"leave it out; it knows {', '.join(sorted(facts.loss_options))}",
            )
        values[name] = defaults.get(name) if value is None else value
    return LossOptions(**values)
