"""Ways to be guided that stock pipelines do not know: adaptive projected guidance, and guidance in an interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

ETA, MOMENTUM, RADIUS = 0.0, -0.5, 15.0
"""What Sadat et al. 2024 chose for SDXL, whose latents have 4 x 128 x 128 values; the radius goes with their root."""
LATENTS = 4 * 128 * 128


@contextmanager
def guidance_applied(
    pipeline: Any, denoiser: torch.nn.Module, way: str, interval: tuple[float, float], scale: float
) -> Iterator[None]:
    """While it is open, a pipeline whose denoiser is given unconditional and conditional rows together is guided so.

    way: "cfg" or "apg". interval: share of the steps in which guidance acts, first and last; outside it the picture
    follows the prompt as at guidance 1 (Kynkäänniemi et al. 2024, arXiv 2404.07724). scale: the guidance scale. The
    pipeline adds nothing to what it is given in place of both predictions, since it finds no difference between them.
    """
    first, last = interval
    if way == "cfg" and interval == (0.0, 1.0):
        yield
        return
    momentum = _Momentum()

    def replace(module: torch.nn.Module, given: Any, named: Mapping[str, Any], told: Any) -> Any:
        sample = told[0] if isinstance(told, tuple) else told.sample
        at = _position(pipeline.scheduler, named["timestep"] if "timestep" in named else given[1])
        plain, prompted = sample.chunk(2)
        if not first <= at < last:
            result = prompted
        elif way == "cfg":
            return told
        else:
            result = projected(plain, prompted, scale, momentum.of(at, prompted - plain))
        both = torch.cat([result, result]).to(sample.dtype)
        if isinstance(told, tuple):
            return (both, *told[1:])
        told.sample = both
        return told

    hook = denoiser.register_forward_hook(replace, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def projected(plain: torch.Tensor, prompted: torch.Tensor, scale: float, update: torch.Tensor) -> torch.Tensor:
    """Adaptive projected guidance (Sadat et al. 2024, arXiv 2410.02416, algorithm 1) of predictions (n, ...).

    update: their difference, with momentum. Of it, what lies along the prediction itself is left out, and what is
    longer than the radius is shortened. Taken of the network's own prediction, as diffusers does, not of the denoised
    picture.
    """
    axes = tuple(range(1, update.ndim))
    radius = RADIUS * (update[0].numel() / LATENTS) ** 0.5
    update, prompted_64 = update.double(), prompted.double()
    update = update * (radius / torch.linalg.vector_norm(update, dim=axes, keepdim=True)).clamp(max=1)
    length = torch.linalg.vector_norm(prompted_64, dim=axes, keepdim=True)
    along = prompted_64 / length.clamp(min=torch.finfo(length.dtype).tiny)  # of a prediction of zeros, no direction
    parallel = (update * along).sum(axes, keepdim=True) * along
    return prompted_64.add((scale - 1) * (update - parallel + ETA * parallel)).to(plain.dtype)


class _Momentum:
    """The moving sum of updates over the steps of one painting, begun anew with the next."""

    def __init__(self) -> None:
        self.at, self.value = 1.0, torch.zeros(())

    def of(self, at: float, update: torch.Tensor) -> torch.Tensor:
        again = at < self.at or self.value.shape != update.shape
        self.value = update if again else update + MOMENTUM * self.value
        self.at = at
        return self.value


def _position(scheduler: Any, timestep: Any) -> float:
    """Where among its steps a sampler is, from 0 to below 1."""
    steps = scheduler.timesteps.detach().cpu().double()
    now = float(torch.as_tensor(timestep).flatten()[0])
    return int((steps - now).abs().argmin()) / len(steps)
