"""Previews while an image is generated: what they show, that they change nothing, and that none stays."""

from __future__ import annotations

from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from limner import GenerateRequest, Studio
from limner.core.errors import Interrupted
from limner.core.events import ArtifactCreated
from limner.core.execution import Execution
from limner.engine.generate.previews import LATENT_SIDE, clean_latents, decode_small
from limner.models.loading import load, resolve
from limner.provenance.xmp import source_type
from limner.store.queue import Queue
from limner.workers.execution import ClaimedRun, execute_claimed
from working import enqueue_and_execute

SCHEDULERS = (
    "DDIMScheduler",
    "UniPCMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler",
)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_clean_latents_are_predicted(name):
    """With the true noise as the model's output, the prediction is the clean latents."""
    kind = getattr(diffusers, name)
    scheduler = kind(**{"clip_sample": False} if name == "DDIMScheduler" else {})
    scheduler.set_timesteps(8)
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(1)).unbind()
    when = scheduler.timesteps[2:3]
    flow = name.startswith("FlowMatch")
    noisy = scheduler.scale_noise(clean, when, noise) if flow else scheduler.add_noise(clean, noise, when)
    with clean_latents(scheduler) as predicted:
        assert predicted() is None
        scheduler.step(noise - clean if flow else noise, when[0], noisy, return_dict=False)
        assert torch.allclose(predicted(), clean, atol=1e-3)
    assert "step" not in vars(scheduler)


def test_large_latents_are_reduced_before_they_are_decoded(tiny_sd):
    model = resolve(str(tiny_sd))
    components = load(model, torch.float32, torch.device("cpu"))
    pipeline = model.family.pipeline(components)
    for side, shown in ((LATENT_SIDE // 2, LATENT_SIDE // 2), (4 * LATENT_SIDE, LATENT_SIDE)):
        (image,) = decode_small(pipeline, torch.zeros(1, 4, side, side), (side * 8, side * 8))
        assert image.shape == (shown * 8, shown * 8, 3) and image.dtype == np.uint8
    assert decode_small(pipeline, torch.zeros(1, 7, 8, 8), (64, 64)) is None
    assert decode_small(pipeline, torch.zeros(1, 64, 8), (64, 64)) is None


@pytest.fixture
def request_for(tiny_sd):
    def make(studio: Studio, **fields) -> GenerateRequest:
        fields = {"prompt": "a cat", "steps": 6, "width": 64, "height": 64, "count": 2} | fields
        return GenerateRequest(model=studio.files.upload(tiny_sd), **fields)

    return make


def made(studio: Studio, run) -> list[ArtifactCreated]:
    return [event for _, _, event in studio.runs.events(run.id) if isinstance(event, ArtifactCreated)]


def pixels_of(studio: Studio, sha256: str) -> np.ndarray:
    with Image.open(studio.files.path(sha256)) as image:
        return np.asarray(image)


def test_previews_change_no_bit_and_are_discarded(home, request_for):
    studio = Studio(home)
    request = request_for(studio)
    plain = enqueue_and_execute(studio, request)
    run = enqueue_and_execute(studio, request, Execution(preview_every=2))
    events = made(studio, run)
    assert [event.what for event in events] == ["preview", "preview", "picture", "picture"]
    images = [artifact.sha256 for artifact in studio.runs.artifacts(run.id)]
    others = [artifact.sha256 for artifact in studio.runs.artifacts(plain.id)]
    pixels, plain_pixels = ([pixels_of(studio, each) for each in part] for part in (images, others))
    assert np.array_equal(pixels, plain_pixels)
    assert all(event.sha256 not in studio.files for event in events[:2])
    assert not list(Path(studio.runs.artifacts(run.id)[0].path).parent.glob("preview-*"))
    assert [event.what for event in made(studio, plain)] == ["picture", "picture"]


def test_a_preview_shows_the_images_side_by_side_and_is_labelled(home, request_for):
    studio = Studio(home)
    studio.enqueue(request_for(studio), execution=Execution(preview_every=2))
    ((run, lease),) = Queue(studio.store).claim("w", 1)
    seen: list[tuple[int, str | None]] = []

    def look(event):
        if isinstance(event, ArtifactCreated) and event.what == "preview":
            with Image.open(event.path) as image:
                seen.append((image.size, source_type(Path(event.path).read_bytes())))

    assert [failure for _, failure in execute_claimed(studio, [ClaimedRun(run, lease, look)])] == [None]
    assert seen == [((128, 64), "trainedAlgorithmicMedia")] * 2


def test_no_preview_stays_of_a_run_that_was_stopped(home, request_for):
    studio = Studio(home)
    run = studio.enqueue(request_for(studio), execution=Execution(preview_every=2))
    (claimed,) = Queue(studio.store).claim("w", 1)
    part = ClaimedRun(*claimed, stop=lambda: bool(made(studio, run)))
    ((_, failure),) = execute_claimed(studio, [part])
    assert isinstance(failure, Interrupted)
    (preview,) = made(studio, run)
    assert preview.what == "preview" and preview.sha256 not in studio.files
    assert studio.runs.artifacts(run.id) == [] and not Path(preview.path).exists()


def test_on_the_command_line_none_stays_either(home, tmp_path, tiny_sd):
    studio = Studio(home)
    request = GenerateRequest(prompt="a cat", model=str(tiny_sd), steps=6, width=64, height=64)
    run = studio.run(request, tmp_path / "out", execution=Execution(preview_every=2))
    assert [event.what for event in made(studio, run)] == ["preview", "preview", "picture"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0001.png"]
    assert [artifact.kind for artifact in studio.runs.artifacts(run.id)] == ["picture"]
