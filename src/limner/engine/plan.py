"""A TrainRequest with nothing left open: every value that the run will use."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core.requests import TrainRequest
from ..data.folder import Scan


@dataclass(frozen=True)
class Plan:
    """Numbers of one training run. held_out: indices of the pictures that are only watched."""

    steps: int
    batch: int
    learning_rate: float
    resolution: int
    class_pictures: int
    prior_target: str
    prior_dropout: float
    held_out: tuple[int, ...]
    warmup: int
    schedule: str

    def rate(self, step: int) -> float:
        """Learning rate of a step: a linear rise, then constant, or falling to zero by a cosine or a line."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        progress = min(1.0, step / self.steps)
        fall = {"constant": 1.0, "linear": 1 - progress, "cosine": 0.5 * (1 + math.cos(math.pi * progress))}[
            self.schedule
        ]
        return self.learning_rate * rise * fall


def make_plan(request: TrainRequest, scan: Scan, defaults: dict[str, object], native: int) -> Plan:
    """Fill what the request leaves open from the model's defaults; native: the model's own side in pixels."""
    count = len(scan.photographs)
    watched = int(count >= 8) if request.held_out is None else min(request.held_out, max(0, count - 4))
    batch = request.batch or int(defaults["batch"])  # type: ignore[call-overload]
    if request.epochs is not None:
        steps = request.epochs * math.ceil((count - watched) / batch)
    else:
        steps = request.steps or int(defaults["steps"])  # type: ignore[call-overload]
    return Plan(
        steps=steps,
        batch=batch,
        learning_rate=request.learning_rate or float(defaults["learning_rate"]),  # type: ignore[arg-type]
        resolution=request.resolution or native,
        class_pictures=(request.class_pictures or int(defaults["class_pictures"])) if request.prior else 0,  # type: ignore[call-overload]
        prior_target=request.prior_target or str(defaults["prior_target"]),
        prior_dropout=float(defaults["prior_dropout"] if request.prior_dropout is None else request.prior_dropout),  # type: ignore[arg-type]
        held_out=tuple(range(count - watched, count)),
        warmup=min(request.warmup, steps),
        schedule=request.schedule,
    )
