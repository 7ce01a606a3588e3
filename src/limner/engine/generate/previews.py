"""Previews of images while they are generated: the predicted clean latents, decoded small every few steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np
import torch

OnPreview = Callable[[Sequence[np.ndarray]], None]
"""Receives a small image (h, w, 3) uint8 for each seed of a batch."""
LATENT_SIDE = 32
"""Longest side of the latents that are decoded: larger ones are reduced first, which makes decoding cheap."""
CLEAN_OUTPUTS = ("dpmsolver++", "sde-dpmsolver++")


@contextmanager
def previewing(
    pipeline: Any, every: int, size: tuple[int, int], on_preview: OnPreview
) -> Iterator[Callable[[int, int], None]]:
    """Open a context whose value is to be called with the timesteps done and the number of images of a batch.

    every: timesteps between two previews. size: width and height of the images in pixels.
    """
    with clean_latents(pipeline.scheduler) as predicted:

        def after_timestep(done: int, rows: int) -> None:
            latents = predicted() if done % every == 0 else None
            images = None if latents is None else decode_small(pipeline, latents[:rows], size)
            if images is not None:
                on_preview(images)

        yield after_timestep


@contextmanager
def clean_latents(scheduler: Any) -> Iterator[Callable[[], torch.Tensor | None]]:
    """Open a context whose value returns the clean latents that the last step of a scheduler predicted.

    None before the first step. Where a scheduler keeps no prediction, the latents after the step.
    """
    step = scheduler.step
    last: list[tuple[Any, torch.Tensor | None]] = []

    @wraps(step)
    def recorded(model_output: Any, timestep: Any, sample: Any, *arguments: Any, **options: Any) -> Any:
        sigma = _sigma(scheduler, timestep)
        result = step(model_output, timestep, sample, *arguments, **options)
        last[:] = [(result, None if sigma is None else sample - sigma * model_output)]
        return result

    def prediction() -> torch.Tensor | None:
        if not last:
            return None
        result, of_flow = last[0]
        values = list(result.values()) if isinstance(result, dict) else list(result)
        if len(values) > 1 and isinstance(values[1], torch.Tensor) and values[1].shape == values[0].shape:
            return values[1]
        outputs = getattr(scheduler, "model_outputs", None)
        clean = scheduler.config.get("predict_x0") or scheduler.config.get("algorithm_type") in CLEAN_OUTPUTS
        if clean and outputs and outputs[-1] is not None:
            return outputs[-1]
        return values[0] if of_flow is None else of_flow

    scheduler.step = recorded
    try:
        yield prediction
    finally:
        del scheduler.step


def _sigma(scheduler: Any, timestep: Any) -> Any:
    """The noise level of the next step of a flow matching scheduler; None for any other scheduler."""
    if "FlowMatch" not in type(scheduler).__name__:
        return None
    if scheduler.step_index is None:
        scheduler._init_step_index(timestep)
    return scheduler.sigmas[scheduler.step_index]


def decode_small(pipeline: Any, latents: torch.Tensor, size: tuple[int, int]) -> list[np.ndarray] | None:
    """Decode latents to small images (h, w, 3) uint8; None if this pipeline's latents have a layout of their own.

    size: width and height of the image in pixels.
    """
    vae = pipeline.vae
    if latents.ndim == 3 and hasattr(pipeline, "_unpack_latents"):
        width, height = size
        try:
            latents = pipeline._unpack_latents(latents, height, width, pipeline.vae_scale_factor)
        except (TypeError, RuntimeError):
            return None
    if latents.ndim != 4 or latents.shape[1] != vae.config.get("latent_channels"):
        return None
    factor = LATENT_SIDE / max(latents.shape[-2:])
    if factor < 1:
        latents = torch.nn.functional.interpolate(latents.float(), scale_factor=factor, mode="area")
    weight = next(vae.parameters())
    wide = weight.dtype == torch.float16 and vae.config.get("force_upcast")
    latents = latents.to(weight.device, torch.float32 if wide else weight.dtype)
    latents = latents / vae.config.scaling_factor + (vae.config.get("shift_factor") or 0.0)
    try:
        if wide:
            vae.to(torch.float32)
        with torch.inference_mode():
            pixels = vae.decode(latents, return_dict=False)[0]
    finally:
        if wide:
            vae.to(weight.dtype)
    levels = ((pixels.float() / 2 + 0.5).nan_to_num().clamp(0, 1) * 255).round()
    return list(levels.to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy())
