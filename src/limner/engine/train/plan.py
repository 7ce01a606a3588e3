"""The plan of a training run: a TrainRequest with every open value filled in."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from limner.core.errors import LimnerError
from limner.core.protocols import Facts, LossOptions
from limner.core.requests import TrainRequest
from limner.data.sets.folder import ImageFile, Scan
from limner.data.sets.pixels import Shape, bucket_shape
from limner.engine.train.optimisers import OPTIMISERS
from limner.plugins import registry


@dataclass(frozen=True)
class TrainPlan:
    """Values of one training run. held_out: indices of the images that only measure the loss. validation: whether the
    dataset's own validation images measure it in their place. bucketed: whether images are trained in their own shapes,
    with sides that are multiples of `multiple`, and not as squares of `resolution` pixels.
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
    bucketed: bool = False
    multiple: int = 8

    @property
    def rates(self) -> dict[str, float]:
        """The highest learning rate of each group of parameters."""
        return {"denoiser": self.learning_rate, "text": self.text_learning_rate}

    def rate(self, step: int) -> float:
        """Learning rate of a step: it rises in a line, then stays, or falls to zero by a cosine or in a line."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        progress = min(1.0, step / self.steps)
        fall = {"constant": 1.0, "linear": 1 - progress, "cosine": 0.5 * (1 + math.cos(math.pi * progress))}[
            self.schedule
        ]
        return self.learning_rate * rise * fall

    def shape_of(self, image: ImageFile) -> Shape:
        """Width and height in pixels that an image is trained at."""
        if self.bucketed:
            return bucket_shape(image.size, self.resolution, self.multiple)
        return self.resolution, self.resolution


def make_plan(request: TrainRequest, scan: Scan, facts: Facts, native: int, processes: int = 1) -> TrainPlan:
    """The plan of a request, with what it leaves open filled in to suit the model and the method.

    native: the model's own side in pixels. Raises LimnerError for values that do not go together.
    """
    method = registry.methods.get(request.method)
    for name in ("class_pictures", "prior_target", "prior_dropout"):
        if method.preserves_class and (value := getattr(request, name)) is not None:
            raise LimnerError(f"{name} ({value}) does nothing: this method cannot change the class", "leave it out")
    count, defaults = len(scan.images), facts.defaults
    validation = request.held_out is None and bool(scan.validation)
    alone = int(count >= 8 and not validation)
    held_out = alone if request.held_out is None else min(request.held_out, max(0, count - 4))
    batch = request.batch or int(defaults["batch"])
    if batch % (parts := request.accumulation * processes):
        of = f" for {processes} processes" if processes > 1 else ""
        raise LimnerError(
            f"a batch of {batch} cannot be split into {parts} equal parts{of}",
            f"use a --batch that is a multiple of {parts}, or another --accumulation",
        )
    if request.epochs is not None:
        steps = request.epochs * math.ceil((count - held_out) / batch)
    else:
        steps = request.steps or int(defaults["steps"])
    own = OPTIMISERS[request.optimiser].rate
    learning_rate = request.learning_rate or own or method.learning_rate(float(defaults["learning_rate"]))
    return TrainPlan(
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        text_learning_rate=request.text_learning_rate or learning_rate,
        resolution=request.resolution or native,
        prior=request.prior and not method.preserves_class,
        class_pictures=(request.class_pictures or int(defaults["class_pictures"])) if request.prior else 0,
        prior_target=request.prior_target or str(defaults["prior_target"]),
        prior_dropout=float(defaults["prior_dropout"] if request.prior_dropout is None else request.prior_dropout),
        held_out=tuple(range(count - held_out, count)),
        validation=validation,
        warmup=min(request.warmup, steps),
        schedule=request.schedule,
        objective=make_objective(request, facts),
        bucketed=scan.bucketed,
        multiple=facts.multiple,
    )


def make_objective(request: TrainRequest, facts: Facts) -> LossOptions:
    """How the loss draws and weighs; raises LimnerError for a field that does nothing in this family's loss."""
    values: dict[str, Any] = {}
    for name in (known.name for known in fields(LossOptions)):
        value = getattr(request, name)
        if value is not None and name not in facts.loss_options:
            raise LimnerError(
                f"{name} ({value}) does nothing for this kind of model",
                f"leave it out; it takes {', '.join(sorted(facts.loss_options))}",
            )
        values[name] = facts.defaults.get(name) if value is None else value
    return LossOptions(**values)
