"""Samplers by name, as diffusers schedulers and options."""

from __future__ import annotations

from typing import Any

from ...core.errors import LimnerError, unknown
from ...core.protocols import Facts

SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "dpm++2m": ("DPMSolverMultistepScheduler", {}),
    "dpm++2m-karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpm++2m-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "pndm": ("PNDMScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
}


def check_scheduler(name: str | None, facts: Facts | None = None) -> None:
    """Refuse a name that is none of ours, or any where none suits the family."""
    if name is not None and name not in SCHEDULERS:
        raise unknown("scheduler", name, SCHEDULERS)
    if name is not None and facts is not None and not facts.samplers:
        raise LimnerError(f"scheduler {name!r} does not suit this kind of model, which has its own", "leave it out")


def apply_scheduler(pipeline: Any, name: str | None) -> None:
    """Put the named sampler on a pipeline, with the model's own noise schedule; None keeps the model's own."""
    if name is None:
        return
    import diffusers

    class_name, options = SCHEDULERS[name]
    pipeline.scheduler = getattr(diffusers, class_name).from_config(pipeline.scheduler.config, **options)
