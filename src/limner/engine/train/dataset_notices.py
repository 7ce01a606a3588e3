"""Notices before training: what is odd about the dataset, and what the run will do with it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from limner.core.choice import evenly
from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice
from limner.core.files import quoted
from limner.core.requests import TrainRequest
from limner.core.text import whole_words
from limner.data.sets.folder import ImageFile, Scan, scan
from limner.data.sets.pixels import read_mask
from limner.engine.train.plan import TrainPlan
from limner.imaging.decode import open_image
from limner.models.catalog import Machine, model_for_photos, needs
from limner.models.known_words import notify_unknown_words
from limner.models.loading import Model

COMPARED = 16
"""The most images of a dataset that are compared with those of the model's domain."""
RESEMBLES = 0.8
"""The least probability at which an image is one of the domain. For the starter, 200 of 200 new images of the painter
and 125 of 128 of made-up animals reach it, and 10 of 106 photographs of DreamBench."""


def scan_dataset(request: TrainRequest, emit: Emit) -> Scan:
    """Scan the request's folder of images, and emit what is odd about it. LimnerError where every mask is missing."""
    found = scan(request.data)
    for reason in found.skipped:
        emit(Notice(text=f"skipped {reason}", level="warning"))
    for warning in (*found.unused, *found.warnings):
        emit(Notice(text=warning, level="warning"))
    bare = [quoted(image.path) for image in found.images if image.mask is None]
    if request.masked and len(bare) == len(found.images):
        raise LimnerError(
            f"no image of {request.data!r} has a mask", "put masks into its folder 'masks', named as the images"
        )
    if request.masked and bare:
        text = f"images without a mask are trained on as a whole: {', '.join(bare[:3])}"
        emit(Notice(text=text, level="warning"))
    return found


def check_masks(images: Sequence[ImageFile], plan: TrainPlan, emit: Emit) -> None:
    """Read all masks, and warn of what had to be guessed. LimnerError where one cannot be used."""
    found: dict[str, list[str]] = {}
    for image in images:
        if image.mask is None or (mask := read_mask(image, plan.shape_of(image))) is None:
            continue
        everything = ["all of it is white, so the whole image is trained on"] if mask.selects_everything else []
        for note in (*([mask.note] if mask.note else []), *everything):
            found.setdefault(note, []).append(quoted(image.mask))
    for note, names in found.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        emit(Notice(text=f"the mask {names[0]}{more}: {note}", level="warning"))


def warn_of_domain(request: TrainRequest, found: Scan, model: Model, emit: Emit, *, queued: bool) -> None:
    """Warn that the model was trained on images of another kind than these, or does not know the class word.

    queued: whether the request names its images by reference, which no command can name.
    """
    domain = model.domain
    if domain is None:
        return
    notify_unknown_words(model, "class word", [request.class_word], emit)
    problem = foreign_images(model, [image.path for image in found.images])
    if problem is None:
        return
    better, what_it_needs = advised_model()
    other = request.model_copy(update={"model": better})
    again = f'this request with "model": "{better}"' if queued else train_command(other)
    text = f"{problem}; for photos, use a model of photos: {again} ({what_it_needs})"
    emit(Notice(text=text, level="warning"))


def foreign_images(model: Model, images: Sequence[Path]) -> str | None:
    """What is wrong with training a model on these images, if most of them are of another kind than those that it was
    trained on; None otherwise.
    """
    domain = model.domain
    if domain is None or not images:
        return None
    shown = evenly(images, COMPARED)
    alike = [probability >= RESEMBLES for probability in domain.resemblance([open_image(path) for path in shown])]
    if 2 * sum(alike) >= len(alike):
        return None
    return (
        f"{len(alike) - sum(alike)} of {len(alike)} images do not look like the {domain.images} that "
        f"{model.reference!r} was trained on: it will learn their colours, and little of the subject"
    )


def advised_model() -> tuple[str, str]:
    """The model to train on photos on this machine, and what that needs, in words."""
    machine = Machine.this()
    better = model_for_photos(machine)
    lacks = machine.lacks(better)
    return better.name, f"{needs(better)}{', but ' + lacks if lacks else ''}"


def train_command(request: TrainRequest) -> str:
    """The command that trains on the same images with a request's model."""
    identifier = ["--identifier", request.identifier] if request.identifier else []
    words = ["limner", "train", request.data, "--class", request.class_word, *identifier, "--model", request.model]
    return shlex.join([*words, "--out", f"{request.folder_name}-{request.model}"])


def describe_run(plan: TrainPlan, dataset: Scan, request: TrainRequest, emit: Emit) -> None:
    """Emit what will be trained on and for how long, and warn of captions without the identifier."""
    images = dataset.images
    captions = sum(image.caption is not None for image in images)
    sizes = len({plan.shape_of(image) for image in images})
    text = f"{len(images)} {'image' if len(images) == 1 else 'images'}"
    text += f", {len(plan.held_out)} of them held out" if plan.held_out else ""
    text += f", {len(dataset.validation)} more for validation" if plan.validation else ""
    text += f", {captions} with a caption" if captions else ""
    text += f"; {plan.steps} steps of {plan.batch} at {plan.resolution} px"
    text += f" in {sizes} sizes" if sizes > 1 else ""
    text += f", learning rate {plan.learning_rate:g}"
    text += f'; use it as "{request.instance_prompt}"' if request.identifier else ""
    emit(Notice(text=text))
    if request.identifier is None:
        return
    nameless = [
        image.path.name
        for image in images
        if image.caption and not whole_words(request.identifier).search(image.caption)
    ]
    if nameless:
        text = f"captions without the identifier {request.identifier!r}: {len(nameless)}, such as of {nameless[0]!r}"
        remedy = f"write '{request.identifier} {request.class_word}' into them"
        emit(Notice(text=f"{text}; {remedy}", level="warning"))
    if request.identifier not in request.instance_prompt:
        text = f"the prompt {request.prompt!r} does not contain {{identifier}}, so no word stands for the subject"
        emit(Notice(text=text, level="warning"))
