"""Encodes everything a run trains on: the subject's images, class images, held-out images, and their captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from limner.core.choice import evenly
from limner.core.events import Emit, Stage
from limner.core.files import quoted
from limner.core.protocols import Components
from limner.core.requests import TrainRequest
from limner.core.workspace import Workspace
from limner.data.sets.folder import ImageFile, Scan
from limner.data.sets.pixels import CroppedFiles, Shape, read_mask
from limner.engine.train.batches import generator_for, uneven
from limner.engine.train.class_captions import class_captions
from limner.engine.train.examples import Examples, ImageSource, encode
from limner.engine.train.plan import TrainPlan
from limner.engine.train.prior import class_images
from limner.models.loading import Model
from limner.models.pipelines import is_quantised
from limner.models.prompts import warn_if_truncated

VALIDATION = 16
"""The most images of a dataset's validation part that measure the held-out loss; all go through the model at once."""


@dataclass(frozen=True)
class EncodedSets:
    """subject, held_out: one set for each image size. prior: class images."""

    subject: tuple[Examples, ...]
    prior: Examples | None
    held_out: tuple[Examples, ...]


class DatasetEncoder:
    """Encodes images with a model's own encoders; all draw from one random generator, in the order of the calls."""

    def __init__(self, request: TrainRequest, plan: TrainPlan, model: Model, components: Components) -> None:
        self.request, self.plan, self.model, self.components = request, plan, model, components
        self.rng = generator_for(request.seed, "posterior", 0)

    def encode_all(self, scan: Scan, workspace: Workspace, emit: Emit) -> EncodedSets:
        """Encode the subject's images, class images and held-out images of a run."""
        request, plan, images = self.request, self.plan, scan.images
        if request.masked:  # a mask that does not fit is an error before class images are generated
            for image in images:
                read_mask(image, plan.shape_of(image))
        prior = self._encode_prior(scan, workspace, emit) if plan.prior else None
        emit(Stage(name="encoding"))
        for image in images:
            if image.caption:
                tokenizer = self.model.family.tokenizer(self.components)
                warn_if_truncated(*tokenizer, f"caption of {quoted(image.path)}", image.caption, emit)
        kept = [image for index, image in enumerate(images) if index not in plan.held_out]
        subject = self.encode_files(kept, request.flip, ("",) if request.caption_dropout else ())
        held_out: Sequence[ImageFile] = [images[index] for index in plan.held_out]
        if plan.validation and not held_out:
            held_out = evenly(scan.validation, VALIDATION)
        return EncodedSets(subject, prior, self.encode_files(held_out, flip=False))

    def encode_files(self, images: Sequence[ImageFile], flip: bool, extra: Sequence[str] = ()) -> tuple[Examples, ...]:
        """Encode image files with their captions, as a set for each size. extra: further captions in every set."""
        shapes: dict[Shape, list[ImageFile]] = {}
        for image in images:
            shapes.setdefault(self.plan.shape_of(image), []).append(image)
        weighted = uneven([image.weight for image in images]) is not None
        sets = []
        for shape, files in shapes.items():
            cropped = CroppedFiles(files, shape, self.request.masked)
            examples = self._encode(cropped, [self._caption(image) for image in files], flip, extra)
            weights = tuple(image.weight for image in files) if weighted else None
            sets.append(replace(examples, weights=weights))
        return tuple(sets)

    def _encode_prior(self, scan: Scan, workspace: Workspace, emit: Emit) -> Examples:
        request, plan = self.request, self.plan
        captions = [self._caption(image) for image in scan.images]
        prompts = class_captions(request, captions, plan.class_pictures)
        images = class_images(
            self.model, self.components, prompts, plan, request.seed, workspace, emit, request.quantise
        )
        captions = [prompts[i % len(prompts)] for i in range(len(images))]
        return self._encode(images, captions, request.flip, ("",))

    def _encode(self, images: ImageSource, captions: Sequence[str], flip: bool, extra: Sequence[str]) -> Examples:
        return encode(self.model.family, self.components, images, captions, flip, self.rng, extra)

    def _caption(self, image: ImageFile) -> str:
        return image.caption or self.request.instance_prompt


def strip(components: Components, dtype: torch.dtype | None, *, keep_text: bool) -> None:
    """Free what the loop does not need: text encoders that are not trained, and the autoencoder's encoder.

    The rest is cast to the dtype that the loop computes in, which saves casting the frozen weights at every step.
    """
    for name in list(components.parts):
        if name.startswith("image_encoder") or (name.startswith("text_encoder") and not keep_text):
            components.parts[name] = None
    vae = components.parts.get("vae")
    if vae is not None:
        vae.encoder = None
    if dtype is not None:
        for part in components.parts.values():
            if isinstance(part, torch.nn.Module) and not is_quantised(part):
                part.to(dtype)
    if components.device.type == "cuda":
        torch.cuda.empty_cache()
