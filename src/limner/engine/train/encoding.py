"""Photographs -> latents and text of what is learnt, kept and watched; then what encoded them leaves memory."""

from __future__ import annotations

from dataclasses import replace

import torch

from limner.core.choice import evenly
from limner.core.events import Emit, Stage
from limner.core.files import quoted
from limner.core.protocols import Components
from limner.core.requests import TrainRequest
from limner.core.workspace import Workspace
from limner.data.sets.folder import Scan
from limner.data.sets.pixels import Pictures, load_pictures
from limner.engine.generate.truncation import tell_truncation
from limner.engine.train.class_captions import class_captions
from limner.engine.train.examples import Examples, encode
from limner.engine.train.loop import generator_for
from limner.engine.train.plan import Plan
from limner.engine.train.prior import class_pictures
from limner.engine.train.sampling_weights import weights_of
from limner.models import loading
from limner.models.pipelines import is_quantised

WATCHED = 16
"""The most pictures of a dataset's part for validation that are watched; all of them go through the model at once."""


def encode_all(
    request: TrainRequest,
    plan: Plan,
    photographs: Scan,
    model: loading.Model,
    components: Components,
    workspace: Workspace,
    emit: Emit,
) -> tuple[Examples, Examples | None, Examples | None]:
    """Latents and text of the subject, of the class, and of the held-out pictures."""
    pictures = load_pictures(photographs, plan.resolution, request.masked)
    family = model.family
    kept = [index for index in range(len(pictures)) if index not in plan.held_out]
    rng = generator_for(request.seed, "posterior", 0)
    captions = [photo.caption or request.instance_prompt for photo in photographs.photographs]
    prior = None
    if plan.prior:
        prompts = class_captions(request, captions, plan.class_pictures)
        painted = class_pictures(
            family,
            components,
            f"{model.fingerprint(components.dtype) or model.location} {model.vae or ''}".strip(),
            prompts,
            plan.class_pictures,
            plan.resolution,
            request.seed,
            model.sampling,
            workspace,
            emit,
        )
        told = [prompts[i % len(prompts)] for i in range(len(painted))]
        prior = encode(family, components, Pictures.whole(painted), told, request.flip, rng, besides=("",))
    emit(Stage(name="encoding"))
    for photo, caption in zip(photographs.photographs, captions, strict=True):
        if photo.caption:
            tell_truncation(*family.reader(components), f"caption of {quoted(photo.path)}", caption, emit)
    said, besides = [captions[index] for index in kept], ("",) if request.caption_dropout else ()
    subject = encode(family, components, pictures[kept], said, request.flip, rng, besides)
    subject = replace(subject, weights=weights_of([photographs.photographs[index].weight for index in kept]))
    watched = None
    if plan.held_out:
        told = [captions[index] for index in plan.held_out]
        watched = encode(family, components, pictures[list(plan.held_out)], told, False, rng)
    elif plan.validation:
        aside = Scan(tuple(evenly(photographs.validation, WATCHED)))
        told = [photo.caption or request.instance_prompt for photo in aside.photographs]
        watched = encode(family, components, load_pictures(aside, plan.resolution, request.masked), told, False, rng)
    return subject, prior, watched


def strip(components: Components, dtype: torch.dtype | None, *, keep_text: bool) -> None:
    """Free what the loop does not need: text encoders that do not learn, and the half of the autoencoder that encodes.

    The rest takes the format that the loop computes in, which saves turning the frozen weights into it at every step.
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
