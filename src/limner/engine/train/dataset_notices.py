"""Notices before training: what is odd about the dataset, and what the run will do with it."""

from __future__ import annotations

from collections.abc import Sequence

from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice
from limner.core.files import quoted
from limner.core.requests import TrainRequest
from limner.core.text import whole_words
from limner.data.sets.folder import ImageFile, Scan, scan
from limner.data.sets.pixels import read_mask
from limner.engine.train.plan import TrainPlan


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
