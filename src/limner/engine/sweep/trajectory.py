"""The image of a request during denoising, step by step: a strip and an animation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from limner.core.choice import evenly
from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, ArtifactKind, Emit, Stage
from limner.core.requests import GenerateRequest
from limner.core.workspace import Workspace
from limner.engine.generate.pipelines import accepts
from limner.engine.generate.session import Session, check_request
from limner.reports.figure import ColumnGroup, ImageGrid
from limner.reports.writer import ReportWriter
from limner.store.files import atomic_file, sha256_of

FRAMES = 10
"""Steps that are shown."""
DECODED = 30
"""Steps of which those are chosen."""
FRAME_MS, LAST_FRAME_MS = 240, 1800
"""How long a frame of the animation lasts, and the last one."""
StepCallback = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]
"""diffusers' `callback_on_step_end`: pipeline, step, timestep and tensors -> the tensors to go on with."""


def write_trajectory(request: GenerateRequest, report: ReportWriter) -> ImageGrid | None:
    """Write trajectory.png, a strip, and trajectory.webp, an animation, of the request's first image.

    Returns the strip; None if moderation withheld it.
    """
    if request.image or request.control or request.hires or request.refiner:
        raise LimnerError(
            "a trajectory starts from noise, and this sweep starts from an image, a control or a second pass",
            "leave out --trajectory or those options",
        )
    steps, frames = denoising_frames(request, report.workspace, report.emit)
    strip = ImageGrid(
        [request.prompt],
        [ColumnGroup("steps done", tuple(str(step) for step in steps))],
        [frames],
        f"{request.prompt[:70]}, seed {request.seed}. Made by AI.",
        min(192, frames[0].width),
    )
    path = report.figure("trajectory.png", strip.draw())
    _write_animation(frames, report.folder / "trajectory.webp", report.emit)
    return strip if path.exists() else None


def denoising_frames(request: GenerateRequest, workspace: Workspace, emit: Emit) -> tuple[list[int], list[Image.Image]]:
    """The image after some of the denoising steps: how many were done, and the decoded latents."""
    # without its notices, which were emitted when the images were generated
    session = Session.open(check_request(request, workspace.execution), lambda event: None)
    sampling, (width, height) = session.sampling, session.inputs.size
    steps = int(sampling["steps"])
    session.pipeline.set_progress_bar_config(disable=True)
    emit(Stage(name="trajectory", total=steps))
    with session.applied():
        inputs = {
            **session.conditioning(request),
            "height": height,
            "width": width,
            "guidance_scale": float(sampling["guidance"]),
        }
        if "guidance_rescale" in accepts(session.pipeline):
            inputs["guidance_rescale"] = sampling["guidance_rescale"]
        denoiser = _Denoiser(session.pipeline, inputs)
        latents = denoiser.latents(request.seed, steps)
        steps_decoded = evenly(range(1, len(latents)), DECODED - 1) + [len(latents)]
        frames = [denoiser.decode(latents[step - 1]) for step in steps_decoded]
    workspace.check()
    chosen = changing_frames([np.asarray(frame, np.float32) for frame in frames])
    return [steps_decoded[place] for place in chosen], [frames[place] for place in chosen]


def changing_frames(pixels: Sequence[np.ndarray]) -> list[int]:
    """The places of at most `FRAMES` frames (h, w, 3), at even distances to the last one; the first and last are shown.

    Evenly spaced steps would show much of the same noise, in which the image is not visible yet.
    """
    if len(pixels) <= FRAMES:
        return list(range(len(pixels)))
    reached = np.maximum.accumulate([-float(np.abs(each - pixels[-1]).mean()) for each in pixels])
    places = np.searchsorted(reached, np.linspace(reached[0], reached[-1], FRAMES))
    places[-1] = len(pixels) - 1
    return sorted({int(place) for place in places})


@dataclass
class _Denoiser:
    """A pipeline and its inputs besides steps and seed."""

    pipeline: Any
    inputs: Mapping[str, Any]

    def latents(self, seed: int, steps: int) -> list[torch.Tensor]:
        """The latents after each step."""
        found: list[torch.Tensor] = []

        def store(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            found.append(tensors["latents"].clone())
            return tensors

        self._run(seed, steps, store)
        return found

    def decode(self, latents: torch.Tensor) -> Image.Image:
        """The image of latents, decoded by the pipeline: it runs one step, whose result is replaced."""

        def replace(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            return {**tensors, "latents": latents}

        return self._run(0, 1, replace)

    def _run(self, seed: int, steps: int, callback: StepCallback) -> Image.Image:
        with torch.inference_mode():
            pixels = self.pipeline(
                **self.inputs,
                num_inference_steps=steps,
                generator=torch.Generator("cpu").manual_seed(seed),
                output_type="np",
                callback_on_step_end=callback,
            ).images[0]
        return Image.fromarray((np.nan_to_num(pixels).clip(0, 1) * 255).round().astype(np.uint8))


def _write_animation(images: Sequence[Image.Image], path: Path, emit: Emit) -> None:
    frames = [image.convert("RGB") for image in images]
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    with atomic_file(path) as partial:
        frames[0].save(partial, "WEBP", save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=90)
    emit(ArtifactCreated(what=ArtifactKind.ANIMATION, path=str(path), sha256=sha256_of(path)))
