"""Second passes over a generated image: enlarged (hires), or by a refiner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.requests import GenerateRequest
from limner.engine.generate.pipelines import accepts, load_refiner, pipeline_for
from limner.engine.generate.sampling import sample_images
from limner.imaging.crop import fit

MULTIPLE = 16
"""Sides of enlarged images are multiples of this, which suits every family."""


@dataclass(frozen=True)
class SecondPass:
    """An image-to-image pipeline that runs over a generated image.

    scale: factor by which the image is enlarged before. conditioning: None for that of the first pass.
    """

    pipeline: Any
    strength: float
    scale: float
    conditioning: Mapping[str, Any] | None = None


def second_passes(request: GenerateRequest, base: Any, strengths: Mapping[str, float]) -> list[SecondPass]:
    """Return the passes over each image after the first one, in order."""
    found: list[SecondPass] = []
    if request.hires is not None:
        pipeline = pipeline_for(base, image=True, mask=False)
        found.append(SecondPass(pipeline, strengths["hires_strength"], request.hires))
    if request.refiner is not None:
        prompts = {"prompt": [request.prompt], "negative_prompt": [request.negative_prompt]}
        pipeline = load_refiner(request.refiner, base.dtype, base.device)
        found.append(SecondPass(pipeline, strengths["refiner_strength"], 1.0, prompts))
    for second in found:
        if "strength" not in accepts(second.pipeline):
            name = type(second.pipeline).__name__
            raise LimnerError(f"{name} does not support a second pass", "leave out --hires and --refiner")
    return found


def run_second_pass(
    second: SecondPass,
    conditioning: Mapping[str, Any],
    pixels: np.ndarray,
    seed: int,
    sampling: Mapping[str, Any],
    on_step: Callable[[int], None],
) -> np.ndarray:
    """Return an image (h, w, 3) enlarged and run through a second pass."""
    width, height = pixels.shape[1::-1]
    if second.scale != 1:
        width, height = (round(side * second.scale / MULTIPLE) * MULTIPLE for side in (width, height))
    image = fit(Image.fromarray(pixels), (width, height))
    (refined,) = sample_images(
        second.pipeline,
        {**conditioning, "image": [image]},
        [seed],
        sampling,
        (width, height),
        settings={"strength": second.strength},
        batch=1,
        on_step=on_step,
    )
    return refined
