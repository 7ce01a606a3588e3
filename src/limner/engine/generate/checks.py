"""Checks of a GenerateRequest against its files, and against the family and the pipeline of its model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.execution import Execution
from limner.core.protocols import Facts
from limner.core.requests import GenerateRequest
from limner.core.requests.trial import TrialRequest
from limner.engine.generate.inputs import OpenedInputs, open_inputs
from limner.engine.generate.pipelines import accepts
from limner.engine.generate.schedulers import check_scheduler, check_steps
from limner.models import loading
from limner.models.adapters import Adapter, check_family, open_adapter
from limner.plugins import registry

STRENGTH, MASKED_STRENGTH, HIRES_STRENGTH, REFINER_STRENGTH = 0.6, 1.0, 0.4, 0.3


@dataclass(frozen=True)
class CheckedRequest:
    """A request whose names, files and values were checked, as far as that is possible without torch.

    sampling: steps and guidance, with the model's defaults. strengths: of each pass over an image, by field name.
    """

    request: GenerateRequest
    model: loading.Model
    sampling: dict[str, Any]
    strengths: Mapping[str, float]
    adapters: list[Adapter]
    opened: OpenedInputs


def check(request: GenerateRequest, execution: Execution, out: Path | None) -> None:
    """Raise LimnerError for a request that cannot be executed, as far as that is known without torch."""
    checked(request)


def check_values(request: GenerateRequest) -> None:
    """Raise LimnerError for names and values that do not suit each other, whatever the files are."""
    check_scheduler(request.scheduler)
    for use in request.control:
        registry.controls.check(use.kind)
    if request.model in registry.aliases():
        model = loading.resolve(request.model)
        check_settings(request, model.family.facts)
        strengths(request, _sampling(request, model)["steps"])


def check_settings(request: GenerateRequest | TrialRequest, facts: Facts) -> None:
    """Refuse a scheduler and a size that a family of models does not support."""
    check_scheduler(request.scheduler, facts)
    check_side("height", request.height, facts.multiple)
    check_side("width", request.width, facts.multiple)


def _sampling(request: GenerateRequest, model: loading.Model) -> dict[str, Any]:
    """Return the steps and guidance of a request, with the model's defaults."""
    chosen = {name: value for name in model.sampling if (value := getattr(request, name)) is not None}
    return model.sampling | chosen


def checked(request: GenerateRequest) -> CheckedRequest:
    """Check the names, files and values of a request; raises LimnerError."""
    model = loading.resolve(request.model, request.vae)
    if request.refiner is not None:
        loading.check_place(request.refiner, "refiner")
    for reference in request.control_model:
        loading.check_place(reference, "ControlNet")
    sampling = _sampling(request, model)
    by_pass = strengths(request, sampling["steps"])
    check_settings(request, model.family.facts)
    adapters = [open_adapter(use.path) for use in request.adapter]
    for adapter in adapters:
        check_family(adapter, model)
    return CheckedRequest(request, model, sampling, by_pass, adapters, open_inputs(request))


def check_side(name: str, pixels: int | None, multiple: int) -> None:
    """Refuse a side that is not a multiple of what the model's latents need; None means the model's own."""
    if pixels is not None and pixels % multiple:
        nearest = max(1, round(pixels / multiple)) * multiple
        raise LimnerError(f"{name} {pixels} is not a multiple of {multiple}", f"use {nearest}")


def strengths(request: GenerateRequest, steps: int) -> Mapping[str, float]:
    """Return the strength of each pass over an image, by field name; refuse one that leaves no step."""
    defaults = {
        "strength": MASKED_STRENGTH if request.mask else STRENGTH,
        "hires_strength": HIRES_STRENGTH,
        "refiner_strength": REFINER_STRENGTH,
    }
    found: dict[str, float] = {}
    for name, value in defaults.items():
        asked = getattr(request, name)
        if asked is not None and int(steps * asked) < 1:
            least = math.ceil(100 / steps) / 100
            raise LimnerError(
                f"{name} ({asked:g}) leaves none of {steps} steps", f"use {least} or more, or more --steps"
            )
        found[name] = asked or max(value, 1 / steps)
    return found


def pass_strengths(request: GenerateRequest, strengths: Mapping[str, float]) -> set[float]:
    """Return the strengths of the passes that use the request's scheduler; 1 for a pass that starts from noise."""
    first = strengths["strength"] if request.image else 1.0
    return {first, strengths["hires_strength"]} if request.hires else {first}


def check_passes(request: GenerateRequest, steps: int, strengths: Mapping[str, float]) -> None:
    """Refuse a number of steps that a scheduler does not support, before anything is loaded."""
    own = loading.part_config(request.model, "scheduler")
    check_steps(own, request.scheduler, steps, pass_strengths(request, strengths))
    if request.refiner is not None:
        check_steps(loading.part_config(request.refiner, "scheduler"), None, steps, {strengths["refiner_strength"]})


def check_arguments(request: GenerateRequest, pipeline: Any, guidance: float) -> None:
    """Refuse fields that have no effect on this pipeline."""
    if request.guidance_rescale and "guidance_rescale" not in accepts(pipeline):
        raise LimnerError(
            f"guidance_rescale ({request.guidance_rescale:g}) has no effect on {type(pipeline).__name__}",
            "leave it out",
        )
    if request.negative_prompt and guidance <= 1 and "true_cfg_scale" not in accepts(pipeline):
        raise LimnerError(
            f"a negative prompt has no effect at guidance {guidance:g}", "use a higher --guidance, or leave it out"
        )


def check_guidance(request: GenerateRequest, facts: Facts, guidance: float) -> None:
    """Refuse guidance methods and intervals that the family does not support, or that have no effect."""
    for name, default in (("guidance_method", "cfg"), ("guidance_interval", None)):
        if (value := getattr(request, name)) == default:
            continue
        if not facts.paired:
            raise LimnerError(
                f"{name} ({value}) is not supported by this family of models", facts.remedies.get(name, "leave it out")
            )
        if guidance <= 1:
            raise LimnerError(
                f"{name} ({value}) has no effect at guidance {guidance:g}", "use a higher --guidance, or leave it out"
            )
