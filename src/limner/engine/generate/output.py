"""Files of a generate run: images with watermark and label, control images and comparison strips."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from limner.core.events import ArtifactCreated, ArtifactKind, Emit
from limner.core.requests import GenerateRequest
from limner.core.workspace import Workspace
from limner.engine.generate.batching import Job, ModelPass, active
from limner.engine.generate.inputs import Inputs
from limner.imaging.crop import fit
from limner.provenance import watermark
from limner.provenance.labels import Label, write_png
from limner.provenance.xmp import SourceType
from limner.store.files import atomic_file, make_folder, sha256_of, write_numbered

PREVIEWED = 4
"""Most images of a request that its preview shows."""


def write_image(job: Job, label: Label, pixels: np.ndarray, inputs: Inputs) -> None:
    """Write a generated image with its watermark and its label, and emit its event."""
    request, workspace, emit = job.request, job.workspace, job.emit
    name = watermark.payload_for(pixels)
    pixels = watermark.embed(pixels, name, inputs.mask_for(pixels))
    source = "compositeWithTrainedAlgorithmicMedia" if inputs.foreign else "trainedAlgorithmicMedia"
    write = partial(write_png, Image.fromarray(pixels), label=label, source=source, home=workspace.home)
    path = write_numbered(workspace.out, ".png", write)
    height, width = pixels.shape[:2]
    details = {
        "seed": label.seed,
        "index": label.index,
        "prompt": request.prompt,
        "steps": request.steps,
        "guidance": request.guidance,
        "width": width,
        "height": height,
        "mark": f"{name:08x}",
    }
    emit(ArtifactCreated(what=ArtifactKind.IMAGE, path=str(path), sha256=sha256_of(path), details=details))
    if inputs.guides and label.index == 0:
        _write_guides(request, inputs, pixels, workspace, emit)


def _write_guides(
    request: GenerateRequest, inputs: Inputs, first: np.ndarray, workspace: Workspace, emit: Emit
) -> None:
    """Write the control images, and a strip of their sources, the control images and the first result."""
    strip = []
    for use, image, guide in zip(request.control, inputs.sources, inputs.guides, strict=True):
        path = workspace.out / f"guide-{use.kind}-{inputs.files[use.path][:8]}.png"
        write_side_image(guide, path, "guide", "algorithmicMedia", workspace, emit)
        same = np.array_equal(np.asarray(image.convert("RGB")), np.asarray(guide))
        strip += [guide] if same else [image, guide]
    whole = np.concatenate([np.asarray(fit(part, first.shape[1::-1])) for part in strip] + [first], axis=1)
    path = workspace.out / f"beside-{workspace.run}.png"
    write_side_image(Image.fromarray(whole), path, "comparison", "compositeSynthetic", workspace, emit)


def write_previews(each: ModelPass, images: Sequence[np.ndarray]) -> None:
    """Write a preview of every job of a pass, which replaces its last one: its first images, side by side.

    images: small ones (h, w, 3) uint8, in the order of the pass.
    """
    if len(images) < len(each.rows):  # of a part of the pass, which was split after a failure
        return
    for job in active(each.jobs):
        own = [image for row, image in zip(each.rows, images, strict=False) if row.job is job][:PREVIEWED]
        with job.isolated():
            path = job.workspace.out / f"preview-{job.workspace.run}.png"
            picture = Image.fromarray(np.concatenate(own, axis=1))
            write_side_image(picture, path, "preview", "trainedAlgorithmicMedia", job.workspace, job.emit)


def write_side_image(
    image: Image.Image, path: Path, what: str, source: SourceType, workspace: Workspace, emit: Emit
) -> None:
    """Write an image that accompanies a run's results, such as a contact sheet, and emit its event as `what`."""
    make_folder(path.parent)
    with atomic_file(path) as partial_path:
        write_png(image, partial_path, source=source, home=workspace.home)
    emit(ArtifactCreated(what=ArtifactKind(what), path=str(path), sha256=sha256_of(path)))
