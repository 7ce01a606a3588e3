"""Schedulers of diffusers by name, and the numbers of steps that they support."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from functools import wraps
from typing import Any

from limner.core.errors import LimnerError, unknown
from limner.core.protocols import Facts

SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "ddpm": ("DDPMScheduler", {"clip_sample": False}),
    "dpm++2m": ("DPMSolverMultistepScheduler", {}),
    "dpm++2m-karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpm++2m-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "unipc": ("UniPCMultistepScheduler", {}),
}
"""Name -> class in diffusers and its options. The options are those in Stable Diffusion's own configuration, and are
missing in the configuration of models with another default scheduler: latents are not clipped to -1..1, which is for
pixels, and PNDM skips its Runge-Kutta steps, which need at least four steps and cannot start in the middle."""

NEAR = 8
"""Largest difference of the number of steps that an error suggests."""


def check_scheduler(name: str | None, facts: Facts | None = None) -> None:
    """Refuse an unknown name, and any name if the family does not support samplers by name."""
    if name is not None and name not in SCHEDULERS:
        raise unknown("scheduler", name, SCHEDULERS)
    if name is not None and facts is not None and not facts.samplers:
        remedy = facts.remedies.get("scheduler", "leave it out")
        raise LimnerError(f"scheduler {name!r} is not supported by this family of models, which has its own", remedy)


def check_steps(
    config: Mapping[str, Any] | None, name: str | None, steps: int, strengths: Iterable[float] = (1.0,)
) -> None:
    """Refuse a number of steps that the scheduler does not support on a model's noise schedule.

    config: of the model's own scheduler, None if it is not known yet. name: of the requested scheduler, None for the
    model's own. strengths: of each pass over an image, 1 for a pass from noise. Every step is tried on a tensor of one
    element, which takes milliseconds, so that nothing is refused that works, and nothing fails after loading.
    """
    if config is None:
        return
    strengths = set(strengths)
    if (reason := _failure(config, name, steps, strengths)) is None:
        return
    near = (other for distance in range(1, NEAR + 1) for other in (steps - distance, steps + distance) if other > 0)
    works = next((other for other in near if _failure(config, name, other, strengths) is None), None)
    asked = f"scheduler {name!r}" if name else f"the model's own scheduler ({config.get('_class_name')})"
    raise LimnerError(
        f"{asked} does not support {steps} step{'s' * (steps > 1)} on this model's noise schedule ({reason})",
        f"use {works} --steps, or another --scheduler" if works else "use another --scheduler, or other --steps",
    )


def _failure(config: Mapping[str, Any], name: str | None, steps: int, strengths: Iterable[float]) -> str | None:
    """Return why a scheduler does not support a number of steps, or None."""
    for strength in strengths:
        try:
            end = last_sample(scheduler_for(config, name), steps, strength)
        except Exception as error:  # diffusers raises many kinds
            return (str(error) or type(error).__name__).splitlines()[0][:120]
        if not math.isfinite(end):
            return "the result is not a finite number"
    return None


def last_sample(scheduler: Any, steps: int, strength: float = 1.0) -> float:
    """Return one element after all steps of a scheduler, with a model that predicts its input."""
    import torch

    shift = {"mu": scheduler.config.get("max_shift", 1.0)} if scheduler.config.get("use_dynamic_shifting") else {}
    scheduler.set_timesteps(steps, **shift)
    first = first_step(steps, strength) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    noise = {}
    if "generator" in inspect.signature(scheduler.step).parameters:
        noise["generator"] = torch.Generator().manual_seed(0)
    sample = torch.ones(1, 1, 1, 1) * getattr(scheduler, "init_noise_sigma", 1.0)
    for timestep in scheduler.timesteps[first:]:
        scale = getattr(scheduler, "scale_model_input", lambda sample, timestep: sample)
        sample = scheduler.step(scale(sample, timestep), timestep, sample, **noise).prev_sample
    return float(sample)


def first_step(steps: int, strength: float) -> int:
    """Return the first step of a pass over an image, as diffusers' pipelines count."""
    return max(steps - int(steps * strength), 0)


def scheduler_for(config: Mapping[str, Any], name: str | None) -> Any:
    """Return a scheduler by name, None for the model's own class, with the noise schedule in `config`."""
    import diffusers

    class_name, options = SCHEDULERS[name] if name else (config["_class_name"], {})
    return _starting_at_first(getattr(diffusers, class_name).from_config(config, **options))


def _starting_at_first(scheduler: Any) -> Any:
    """Return the scheduler, changed to start at its first step even if the next one has the same timestep.

    diffusers starts at the second of equal timesteps, so it skips the first step and runs past the last one.
    """
    if not hasattr(scheduler, "index_for_timestep"):
        return scheduler
    index_for_timestep = scheduler.index_for_timestep

    @wraps(index_for_timestep)
    def index(timestep: Any, schedule_timesteps: Any = None) -> int:
        timesteps = scheduler.timesteps if schedule_timesteps is None else schedule_timesteps
        return 0 if timesteps[0] == timestep else index_for_timestep(timestep, schedule_timesteps)

    scheduler.index_for_timestep = index
    return scheduler


def apply_scheduler(pipeline: Any, name: str | None, steps: int, strengths: Iterable[float] = (1.0,)) -> None:
    """Set a pipeline's scheduler by name, with the model's own noise schedule; None keeps the model's own class.

    Checks the number of steps again, for models whose configuration is known only after loading.
    """
    own = pipeline.scheduler
    config = {**own.config, "_class_name": type(own).__name__}
    check_steps(config, name, steps, strengths)
    pipeline.scheduler = scheduler_for(config, name)
