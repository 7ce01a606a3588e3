"""Running a pipeline for seeds, in batches."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from limner.core.errors import LimnerError


def sample_images(
    pipeline: Any,
    conditioning: Mapping[str, Any],
    seeds: Sequence[int],
    sampling: Mapping[str, Any],
    size: tuple[int, int],
    *,
    batch: int,
    settings: Mapping[str, Any] = MappingProxyType({}),
    on_step: Callable[[int], None] = lambda done: None,
    on_timestep: Callable[[int, int], None] = lambda done, rows: None,
) -> Iterator[np.ndarray]:
    """Yield images (h, w, 3) uint8, one per seed.

    conditioning: arguments of the pipeline from `Family.conditioning`, a row for every seed, or one for all. sampling:
    `steps`, `guidance`, and for pipelines that support it `guidance_rescale` (phi of Lin et al. 2024, arXiv 2305.08891,
    section 3.4). size: width and height in pixels. settings: arguments that hold for all images. on_step: called with
    the steps done so far, summed over the images; it ends at `steps` for each, however many timesteps the scheduler
    makes of them (2 n - 1 with Heun, n + 1 with PNDM, fewer in a pass over an image). on_timestep: called with the
    timesteps done of a batch, and its number of images, except after the last one. Each image's noise comes from its
    own CPU generator, so that it does not depend on the device.
    """
    steps = sampling["steps"]
    width, height = size
    asked = {"guidance_rescale": sampling.get("guidance_rescale", 0.0), "height": height, "width": width}
    known = inspect.signature(type(pipeline).__call__).parameters
    common = {name: value for name, value in asked.items() if name in known} | dict(settings)

    def count_step(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        timesteps = getattr(pipe, "num_timesteps", steps)
        on_step(start * steps + rows * steps * (step + 1) // timesteps)
        if step + 1 < timesteps:
            on_timestep(step + 1, rows)
        return values

    pipeline.set_progress_bar_config(disable=True)
    for start in range(0, len(seeds), batch):
        part = seeds[start : start + batch]
        rows = len(part)
        with torch.inference_mode():
            pixels = pipeline(
                **common,
                **{name: rows_of(value, start, rows) for name, value in conditioning.items()},
                num_inference_steps=steps,
                guidance_scale=sampling["guidance"],
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in part],
                output_type="np",
                callback_on_step_end=count_step,
            ).images
        if not np.isfinite(pixels).all():
            raise _overflow(getattr(pipeline, "dtype", None))
        yield from (pixels * 255).round().astype(np.uint8)
        on_step((start + rows) * steps)


def _overflow(dtype: torch.dtype | None) -> LimnerError:
    """The error for images that are not finite. dtype: that the model computed in."""
    remedy = "use --precision fp32 or bf16"
    if dtype in (torch.float32, torch.bfloat16):  # the precision is not to blame
        remedy = "lower --guidance or the weight of the adapters, or use another model or adapter: one may be damaged"
    return LimnerError("the model generated NaN (a black image): its numbers overflowed", remedy)


def rows_of(value: Any, start: int, rows: int) -> Any:
    """Return the conditioning of `rows` images from `start` on; a single row is repeated for every image."""
    if len(value) > 1:
        return value[start : start + rows]
    return value.expand(rows, *value.shape[1:]) if isinstance(value, torch.Tensor) else list(value) * rows
