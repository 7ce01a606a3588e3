"""Noise becoming a picture, step by step: for teaching what denoising is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind, Emit, Made, Stage
from limner.core.requests import GenerateRequest
from limner.core.workspace import Workspace
from limner.engine.generate.output import write_side_image
from limner.engine.generate.schedulers import apply_scheduler
from limner.engine.sweep.result import Swept
from limner.models import loading
from limner.models.adapters import adapters_applied, open_adapter
from limner.models.conditioning import conditioning
from limner.models.devices import pick_device, pick_dtype
from limner.reports.figure import Group, grid
from limner.store.files import atomic_file, sha256_of

FRAMES = 10
"""Steps that are shown."""
TALL = 60
"""How long a frame of the animation stays, in milliseconds, times ten at its end."""


def write_trajectory(swept: Swept, out: Path, workspace: Workspace, emit: Emit) -> Path:
    """trajectory.png, a strip, and trajectory.webp, an animation, of the first cell's first picture."""
    request = swept.cells[0].request
    if request.image or request.control or request.hires or request.refiner:
        raise LimnerError("a trajectory begins from noise", "leave out --trajectory, or what the painting begins from")
    steps, pictures = watched(request, workspace, emit)
    strip = grid(
        [request.prompt],
        [Group("steps done", tuple(str(step) for step in steps))],
        [pictures],
        f"{request.prompt[:70]}, seed {request.seed}. Made by AI.",
        min(192, pictures[0].width),
    )
    path = out / "trajectory.png"
    write_side_image(strip, path, "comparison", "compositeSynthetic", workspace, emit)
    _write_animation(pictures, out / "trajectory.webp", workspace, emit)
    return path


def watched(request: GenerateRequest, workspace: Workspace, emit: Emit) -> tuple[list[int], list[Image.Image]]:
    """What the picture is after some of its steps: how many were done, and the picture of the latents then."""
    model = loading.resolve(request.model, request.vae)
    device = pick_device(workspace.execution.device)
    components = loading.load(model, pick_dtype(request.precision, device), device, request.quantise)
    pipeline = model.family.pipeline(components)
    chosen = {name: value for name in model.sampling if (value := getattr(request, name)) is not None}
    sampling = model.sampling | chosen
    apply_scheduler(pipeline, request.scheduler, int(sampling["steps"]))
    side = {"height": request.height or components.side, "width": request.width or components.side}
    emit(Stage(name="trajectory", total=int(sampling["steps"])))
    told = conditioning(model.family, components, [request.prompt])
    adapters = [open_adapter(use.path) for use in request.adapter]
    with adapters_applied(pipeline, model.family.facts, adapters, [use.weight for use in request.adapter]):
        latents = _latents(pipeline, told, request.seed, sampling, side)
        steps = sorted({round(step) for step in np.linspace(1, len(latents), FRAMES)})
        pictures = [_decoded(pipeline, told, latents[step - 1], side) for step in steps]
    workspace.check()
    return steps, pictures


def _latents(
    pipeline: Any, told: Mapping[str, Any], seed: int, sampling: Mapping[str, Any], side: Mapping[str, int]
) -> list[torch.Tensor]:
    """The latents after each step."""
    kept: list[torch.Tensor] = []

    def keep(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        kept.append(values["latents"].clone())
        return values

    _run(pipeline, told, seed, int(sampling["steps"]), float(sampling["guidance"]), side, keep)
    return kept


def _decoded(pipeline: Any, told: Mapping[str, Any], latents: torch.Tensor, side: Mapping[str, int]) -> Image.Image:
    """The picture of latents, by the pipeline's own last lines: it is let do one step, whose result is replaced."""

    def put(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "latents": latents}

    return _run(pipeline, told, 0, 1, 1.0, side, put)


def _run(
    pipeline: Any, told: Mapping[str, Any], seed: int, steps: int, guidance: float, side: Mapping[str, int], hear: Any
) -> Image.Image:
    pipeline.set_progress_bar_config(disable=True)
    with torch.inference_mode():
        pixels = pipeline(
            **told,
            **side,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="np",
            callback_on_step_end=hear,
        ).images[0]
    return Image.fromarray((np.nan_to_num(pixels).clip(0, 1) * 255).round().astype(np.uint8))


def _write_animation(pictures: Sequence[Image.Image], path: Path, workspace: Workspace, emit: Emit) -> None:
    frames = [picture.convert("RGB") for picture in pictures]
    shown = [TALL * 4] * (len(frames) - 1) + [TALL * 30]
    with atomic_file(path) as partial:
        frames[0].save(partial, "WEBP", save_all=True, append_images=frames[1:], duration=shown, loop=0, quality=90)
    emit(Made(what=ArtifactKind.ANIMATION, path=str(path), sha256=sha256_of(path)))
