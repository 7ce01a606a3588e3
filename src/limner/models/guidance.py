"""Guidance that stock pipelines lack: adaptive projected guidance (APG), and guidance in an interval of steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

ETA, MOMENTUM, RADIUS = 0.0, -0.5, 15.0
"""Values of Sadat et al. 2024 for SDXL, whose latents have 4 x 128 x 128 values; the radius scales with their root."""
LATENTS = 4 * 128 * 128


@contextmanager
def guidance_applied(
    pipeline: Any, denoiser: torch.nn.Module, kind: str, interval: tuple[float, float], scale: float
) -> Iterator[None]:
    """Open a context in which a pipeline uses a guidance method; its denoiser must get both kinds of rows in one batch.

    kind: "cfg" or "apg". interval: start and end of guidance, as shares of the steps; outside it, the image follows
    the prompt as at guidance 1 (Kynkäänniemi et al. 2024, arXiv 2404.07724). scale: the guidance scale. The hook puts
    its result in place of both predictions, so that the pipeline finds no difference and adds nothing.
    """
    first, last = interval
    if kind == "cfg" and interval == (0.0, 1.0):
        yield
        return
    momentum = _Momentum()

    def replace(module: torch.nn.Module, given: Any, named: Mapping[str, Any], output: Any) -> Any:
        sample = output[0] if isinstance(output, tuple) else output.sample
        at = _position(pipeline.scheduler, named["timestep"] if "timestep" in named else given[1])
        plain, prompted = sample.chunk(2)
        if not first <= at < last:
            result = prompted
        elif kind == "cfg":
            return output
        else:
            result = projected(plain, prompted, scale, momentum.update(at, prompted - plain))
        both = torch.cat([result, result]).to(sample.dtype)
        if isinstance(output, tuple):
            return (both, *output[1:])
        output.sample = both
        return output

    hook = denoiser.register_forward_hook(replace, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def projected(plain: torch.Tensor, prompted: torch.Tensor, scale: float, update: torch.Tensor) -> torch.Tensor:
    """Adaptive projected guidance (Sadat et al. 2024, arXiv 2410.02416, algorithm 1) of predictions (n, ...).

    update: difference of the predictions, with momentum. It is shortened to the radius, and its part parallel to the
    conditional prediction is removed. Uses the network's own prediction, as diffusers does, not the denoised image.
    """
    axes = tuple(range(1, update.ndim))
    radius = RADIUS * (update[0].numel() / LATENTS) ** 0.5
    update, prompted_64 = update.double(), prompted.double()
    update = update * (radius / torch.linalg.vector_norm(update, dim=axes, keepdim=True)).clamp(max=1)
    length = torch.linalg.vector_norm(prompted_64, dim=axes, keepdim=True)
    along = prompted_64 / length.clamp(min=torch.finfo(length.dtype).tiny)  # a prediction of zeros has no direction
    parallel = (update * along).sum(axes, keepdim=True) * along
    return prompted_64.add((scale - 1) * (update - parallel + ETA * parallel)).to(plain.dtype)


class _Momentum:
    """Running sum of the updates over the steps of one image, restarted with the next."""

    def __init__(self) -> None:
        self.at, self.value = 1.0, torch.zeros(())

    def update(self, at: float, update: torch.Tensor) -> torch.Tensor:
        restart = at < self.at or self.value.shape != update.shape
        self.value = update if restart else update + MOMENTUM * self.value
        self.at = at
        return self.value


def _position(scheduler: Any, timestep: Any) -> float:
    """Return the position of a sampler among its steps, from 0 to below 1."""
    steps = scheduler.timesteps.detach().cpu().double()
    now = float(torch.as_tensor(timestep).flatten()[0])
    return int((steps - now).abs().argmin()) / len(steps)
