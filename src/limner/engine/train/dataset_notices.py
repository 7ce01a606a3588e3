"""What is odd about a folder of photographs, and what will be done with it, as it is told before training."""

from __future__ import annotations

from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice
from limner.core.files import quoted
from limner.core.requests import TrainRequest
from limner.data.sets.folder import Scan, scan
from limner.engine.train.class_captions import as_word
from limner.engine.train.plan import Plan


def scan_told(request: TrainRequest, emit: Emit) -> Scan:
    """Look at the folder of pictures, and pass on what is odd about it."""
    found = scan(request.data)
    for reason in found.skipped:
        emit(Notice(text=f"skipped {reason}", level="warning"))
    for warning in found.warnings:
        emit(Notice(text=warning, level="warning"))
    bare = [quoted(photo.path) for photo in found.photographs if photo.mask is None]
    if request.masked and len(bare) == len(found.photographs):
        raise LimnerError(
            f"no picture of {request.data!r} has a mask", "put pictures of the same names into its folder 'masks'"
        )
    if request.masked and bare:
        emit(Notice(text=f"without a mask, and so learnt as a whole: {', '.join(bare[:3])}", level="warning"))
    return found


def told(plan: Plan, photographs: Scan, request: TrainRequest, emit: Emit) -> None:
    count = len(photographs.photographs)
    captions = sum(photo.caption is not None for photo in photographs.photographs)
    kept = f", {len(plan.held_out)} of them held out" if plan.held_out else ""
    kept += f", {len(photographs.validation)} besides for validation" if plan.validation else ""
    kept += f", {captions} with a caption of their own" if captions else ""
    emit(
        Notice(
            text=f"{count} pictures{kept}; {plan.steps} steps of {plan.batch} at {plan.resolution} px, "
            f"learning rate {plan.learning_rate:g}"
            + (f'; say "{request.instance_prompt}"' if request.identifier else "")
        )
    )
    if request.identifier is None:
        return
    silent = [
        (beside if (beside := photo.path.with_suffix(".txt")).is_file() else photo.path).name
        for photo in photographs.photographs
        if photo.caption and not as_word(request.identifier).search(photo.caption)
    ]
    if silent:
        emit(
            Notice(
                text=f"captions that do not name the subject by {request.identifier!r}: {len(silent)}, "
                f"such as {silent[0]!r}; write '{request.identifier} {request.class_word}' into them",
                level="warning",
            )
        )
    if request.identifier not in request.instance_prompt:
        emit(
            Notice(
                text=f"the prompt {request.prompt!r} does not hold {{identifier}}, so no word stands for the subject",
                level="warning",
            )
        )
