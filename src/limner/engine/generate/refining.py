"""Paintings over a finished picture: enlarged, or by a refiner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.requests import GenerateRequest
from limner.engine.generate.inputs import crop_and_resize
from limner.engine.generate.sampling import paint
from limner.engine.generate.tasks import accepts, load_refiner, pipeline_for

MULTIPLE = 16
"""What sides of enlarged pictures are divisible by, which suits every family."""


@dataclass(frozen=True)
class SecondPass:
    """A pipeline that paints over a finished picture. scale: how many times it is enlarged before."""

    pipeline: Any
    strength: float
    scale: float
    conditioning: Mapping[str, Any] | None = None
    """None: that of the first painting."""


def second_passes(request: GenerateRequest, base: Any, strengths: Mapping[str, float]) -> list[SecondPass]:
    """What paints over each picture after the first painting, in order."""
    found: list[SecondPass] = []
    if request.hires is not None:
        pipeline = pipeline_for(base, image=True, mask=False)
        found.append(SecondPass(pipeline, strengths["hires_strength"], request.hires))
    if request.refiner is not None:
        words = {"prompt": [request.prompt], "negative_prompt": [request.negative_prompt]}
        pipeline = load_refiner(request.refiner, base.dtype, base.device)
        found.append(SecondPass(pipeline, strengths["refiner_strength"], 1.0, words))
    for over in found:
        if "strength" not in accepts(over.pipeline):
            name = type(over.pipeline).__name__
            raise LimnerError(f"{name} cannot paint over a picture", "leave out --hires and --refiner")
    return found


def run_second_pass(
    over: SecondPass,
    told: Mapping[str, Any],
    pixels: np.ndarray,
    seed: int,
    sampling: Mapping[str, Any],
    on_step: Callable[[int], None],
) -> np.ndarray:
    """A picture (h, w, 3) enlarged and painted over once more."""
    width, height = pixels.shape[1::-1]
    if over.scale != 1:
        width, height = (round(side * over.scale / MULTIPLE) * MULTIPLE for side in (width, height))
    enlarged = {**told, "image": [crop_and_resize(Image.fromarray(pixels), (width, height))]}
    (again,) = paint(
        over.pipeline,
        enlarged,
        [seed],
        **sampling,
        width=width,
        height=height,
        settings={"strength": over.strength},
        batch=1,
        on_step=on_step,
    )
    return again
