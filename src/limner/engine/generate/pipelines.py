"""Stock pipelines for a request's task (image-to-image, inpainting, ControlNet, refiner), and their arguments."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.protocols import Facts
from limner.core.requests import GenerateRequest
from limner.engine.generate.inputs import Inputs
from limner.models import hub
from limner.models.loading import resolve
from limner.plugins import registry


def accepts(pipeline: Any) -> Mapping[str, Any]:
    """Return the parameters of a pipeline's call."""
    return inspect.signature(type(pipeline).__call__).parameters


def pipeline_for(base: Any, image: bool, mask: bool, controlnets: Sequence[Any] = ()) -> Any:
    """Return the stock pipeline with the base's parts that starts from an image, inpaints, or uses ControlNets."""
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
            raise ValueError("it does not support a ControlNet")
        return found
    except ValueError as error:
        wanted = " and ".join(
            [*(["a mask"] if mask else ["an image"] if image else []), *(["a control"] if more else [])]
        )
        raise LimnerError(
            f"models of the kind {type(base).__name__.removesuffix('Pipeline')} do not support {wanted}",
            "use another --model",
        ) from error


def load_controlnets(request: GenerateRequest, facts: Facts, base: Any) -> list[Any]:
    """Load the ControlNets of a request's controls, in the base's number format and on its device."""
    from diffusers import AutoModel

    loaded = []
    denoiser = base.components[facts.denoiser].config
    suits = all(denoiser.get(name) == value for name, value in facts.controlled.items())
    for index, use in enumerate(request.control):
        default = facts.controls.get(use.kind) if suits else None
        reference = request.control_model[index] if request.control_model else default
        if reference is None:
            known = f"; it has ControlNets for: {', '.join(facts.controls)}" if facts.controls and suits else ""
            raise LimnerError(
                f"this model has no default ControlNet for {use.kind!r}{known}", "name one with --control-model"
            )
        with hub.hub_errors(reference, "ControlNet"):
            network = AutoModel.from_pretrained(reference, torch_dtype=base.dtype, use_safetensors=True)
        for name in ("in_channels", "cross_attention_dim", "joint_attention_dim"):
            if name in network.config and name in denoiser and network.config[name] != denoiser[name]:
                raise LimnerError(
                    f"ControlNet {reference!r} does not fit this model: its {name} is {network.config[name]}, and "
                    f"the model's {denoiser[name]}",
                    "name one for this model with --control-model",
                )
        loaded.append(network.eval().to(base.device))
    return loaded


def load_refiner(reference: str, dtype: Any, device: Any) -> Any:
    """Load the image-to-image pipeline of a refiner (Podell et al. 2023, arXiv 2307.01952, section 2.5) or a model."""
    from diffusers import AutoPipelineForImage2Image

    from limner.models.pipelines import freeze_and_move

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
            raise LimnerError(f"refiner {reference!r} does not support image-to-image", "use another one") from error
    freeze_and_move(found.components, device)
    return found


def arguments(
    request: GenerateRequest, pipeline: Any, inputs: Inputs, strength: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the pipeline's arguments besides prompts: those with a row for each image, and those for all images."""
    known = accepts(pipeline)
    rows: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    if inputs.image is not None and "strength" in known:
        rows["image"] = [inputs.image]
        settings["strength"] = strength
    elif inputs.image is not None:  # the image is a reference that the model sees, not the starting point
        if request.strength is not None:
            raise LimnerError(
                f"strength ({request.strength:g}) has no effect on this model, which uses the image as a reference",
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
