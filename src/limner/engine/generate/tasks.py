"""What a request asks of a pipeline besides a prompt: the stock pipeline for it, and that pipeline's arguments."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.protocols import Facts
from limner.core.requests import GenerateRequest
from limner.engine.generate.inputs import Inputs, crop_and_resize
from limner.models import hub
from limner.models.loading import resolve
from limner.models.pipelines import freeze_and_move
from limner.plugins import registry

STRENGTH, MASKED_STRENGTH, HIRES_STRENGTH, REFINER_STRENGTH = 0.6, 1.0, 0.4, 0.3


def strengths(request: GenerateRequest, steps: int) -> Mapping[str, float]:
    """How far each painting over a picture goes, by the request's names; refuses one that no step is left of."""
    usual = {
        "strength": MASKED_STRENGTH if request.mask else STRENGTH,
        "hires_strength": HIRES_STRENGTH,
        "refiner_strength": REFINER_STRENGTH,
    }
    found: dict[str, float] = {}
    for name, value in usual.items():
        asked = getattr(request, name)
        if asked is not None and int(steps * asked) < 1:
            least = math.ceil(100 / steps) / 100
            raise LimnerError(
                f"{name} ({asked:g}) leaves none of {steps} steps", f"use {least} or more, or more --steps"
            )
        found[name] = asked or max(value, 1 / steps)
    return found


def accepts(pipeline: Any) -> Mapping[str, Any]:
    """The arguments that a pipeline's call takes."""
    return inspect.signature(type(pipeline).__call__).parameters


def pipeline_for(base: Any, image: bool, mask: bool, controlnets: Sequence[Any] = ()) -> Any:
    """The stock pipeline of the base's parts that begins from an image, paints in a mask, follows ControlNets."""
    import diffusers

    if not (image or mask or controlnets):
        return base
    channels = getattr(getattr(base, "unet", None), "config", {}).get("in_channels", 4)
    if mask and not controlnets and channels not in (4, 9):
        from limner.models.inpainting import LatentInpainting

        return LatentInpainting(**base.components, requires_safety_checker=False)
    kind = "Inpainting" if mask else "Image2Image" if image else "Text2Image"
    more = {"controlnet": controlnets[0] if len(controlnets) == 1 else list(controlnets)} if controlnets else {}
    try:
        found = getattr(diffusers, f"AutoPipelineFor{kind}").from_pipe(base, **more)
        if more and "controlnet" not in found.components:
            raise ValueError("it has no place for one")
        return found
    except ValueError as error:
        wished = " and ".join(
            [*(["a mask"] if mask else ["an image"] if image else []), *(["a control"] if more else [])]
        )
        raise LimnerError(
            f"this kind of model ({type(base).__name__.removesuffix('Pipeline')}) does not paint with {wished} here",
            "use another --model",
        ) from error


def load_controlnets(request: GenerateRequest, facts: Facts, base: Any) -> list[Any]:
    """The ControlNets of a request's controls, on the base's device and in its format."""
    from diffusers import AutoModel

    loaded = []
    denoiser = base.components[facts.denoiser].config
    suits = all(denoiser.get(name) == value for name, value in facts.controlled.items())
    for index, use in enumerate(request.control):
        usual = facts.controls.get(use.kind) if suits else None
        reference = request.control_model[index] if request.control_model else usual
        if reference is None:
            known = f"; it knows {', '.join(facts.controls)}" if facts.controls and suits else ""
            raise LimnerError(
                f"no ControlNet for {use.kind!r} is known for this model{known}", "name one by --control-model"
            )
        with hub.hub_errors(reference, "ControlNet"):
            network = AutoModel.from_pretrained(reference, torch_dtype=base.dtype, use_safetensors=True)
        for name in ("in_channels", "cross_attention_dim", "joint_attention_dim"):
            if name in network.config and name in denoiser and network.config[name] != denoiser[name]:
                raise LimnerError(
                    f"ControlNet {reference!r} was made for another model: its {name} is {network.config[name]}, and "
                    f"the model's {denoiser[name]}",
                    "name one for this model by --control-model",
                )
        loaded.append(network.eval().to(base.device))
    return loaded


def load_refiner(reference: str, dtype: Any, device: Any) -> Any:
    """The stock pipeline of a refiner (Podell et al. 2023, arXiv 2307.01952, section 2.5), or another model's."""
    from diffusers import AutoPipelineForImage2Image

    if reference in registry.aliases() or Path(reference).is_file():
        model = resolve(reference)
        components = model.family.load(model.source(), dtype, device)
        return pipeline_for(model.family.pipeline(components), image=True, mask=False)
    with hub.hub_errors(reference, "refiner"):
        try:
            found = AutoPipelineForImage2Image.from_pretrained(reference, torch_dtype=dtype, use_safetensors=True)
        except (ValueError, KeyError) as error:
            if "safetensors" in str(error):
                raise
            raise LimnerError(f"refiner {reference!r} cannot paint over a picture", "give one that can") from error
    freeze_and_move(found.components, device)
    return found


def arguments(
    request: GenerateRequest, pipeline: Any, inputs: Inputs, strength: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the pipeline is told besides prompts: a row for each picture, and what holds for all."""
    known = accepts(pipeline)
    rows: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    if inputs.image is not None and "strength" in known:
        rows["image"] = [inputs.image]
        settings["strength"] = strength
    elif inputs.image is not None:  # it looks at the picture while it paints, and does not begin from it
        if request.strength is not None:
            raise LimnerError(
                f"strength ({request.strength:g}) means nothing to this kind of model, which paints after the image",
                "leave it out",
            )
        settings["image"] = [inputs.image]
    if inputs.mask is not None:
        rows["mask_image"] = [inputs.mask]
    if inputs.guides:
        name = "control_image" if "control_image" in known else "image"
        weights = [use.weight for use in request.control]
        if len(inputs.guides) == 1:
            rows[name], settings["controlnet_conditioning_scale"] = [inputs.guides[0]], weights[0]
        else:
            settings[name], settings["controlnet_conditioning_scale"] = list(inputs.guides), weights
    return rows, settings


def keep_outside(pixels: np.ndarray, inputs: Inputs) -> np.ndarray:
    """The painted picture inside the mask, the original, to the bit, where the mask is black.

    Of an enlarged picture, the original is enlarged too.
    """
    if inputs.mask is None or inputs.image is None:
        return pixels
    painted = Image.fromarray(pixels)
    image, mask = (crop_and_resize(picture, painted.size) for picture in (inputs.image, inputs.mask))
    return np.asarray(Image.composite(painted, image, mask))


def painted_part(inputs: Inputs, pixels: np.ndarray) -> np.ndarray | None:
    """The mask (h, w) uint8 of a picture's size, white where it was painted; None where it was painted all over."""
    return None if inputs.mask is None else np.asarray(crop_and_resize(inputs.mask, pixels.shape[1::-1]))
