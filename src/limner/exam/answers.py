"""The exam's pictures: many prompts through a pipeline together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

SEED, BATCH = 42, 16


def paint_answers(
    pipeline: Any,
    prompts: Sequence[str],
    *,
    guidance: float,
    steps: int,
    on_step: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Pictures (n, h, w, 3) uint8, prompt i painted from seed 42 + i; on_step is told picture-steps done so far."""
    pipeline.set_progress_bar_config(disable=True)
    painted, done = [], 0
    for start in range(0, len(prompts), BATCH):
        rows = list(prompts[start : start + BATCH])

        def count(pipe: Any, step: int, timestep: Any, values: dict[str, Any], size: int = len(rows)) -> dict[str, Any]:
            nonlocal done
            done += size
            on_step(done)
            return values

        with torch.inference_mode():
            pixels = pipeline(
                rows,
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=[torch.Generator().manual_seed(SEED + start + i) for i in range(len(rows))],
                output_type="np",
                callback_on_step_end=count,
            ).images
        painted.append((pixels * 255).round().astype(np.uint8))
        done = (start + len(rows)) * steps
        on_step(done)
    return np.concatenate(painted)
