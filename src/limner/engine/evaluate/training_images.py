"""What the training pictures of an evaluated adapter did: which are useful, which useless, which do harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice
from limner.core.influence import Influence, TrainingImage
from limner.core.requests import EvaluateRequest, InfluenceRequest
from limner.core.workspace import Workspace
from limner.engine.compare.contestants import Entrant
from limner.engine.influence.influence import trace, training_images
from limner.engine.influence.restored import training_of
from limner.imaging.decode import open_image
from limner.models.adapters import open_adapter
from limner.reports.render import embedded

BAD, GOOD, SIDE = 24, 6, 240
"""The most pictures of the lowest and the highest worth on the page, and how large in pixels."""
REMEDY = "leave it out by --no-influence"


def asked_of(request: EvaluateRequest, target: Entrant | None, emit: Emit) -> InfluenceRequest | None:
    """What asks for the worth of the training pictures, None where that is not wanted or cannot be.

    It names model and data itself, so that no path of the adapter's own is opened. LimnerError where it was wanted.
    """
    if request.influence is False:
        return None
    if target is None or len(target.adapter) != 1 or request.dataset is None:
        if request.influence:
            raise LimnerError("influence is of a single adapter, and the target is not one", REMEDY)
        return None
    path = target.adapter[0].path
    try:
        adapter = open_adapter(path)
        training, _ = training_of(adapter)
        training_images(adapter, training, request.dataset)
    except LimnerError as error:
        return _left_out(request, error, emit)
    return InfluenceRequest(
        adapter=path,
        model=target.model,
        vae=target.vae,
        data=request.dataset,
        precision=request.precision,
    )


def judged(
    request: EvaluateRequest, asked: InfluenceRequest | None, workspace: Workspace, emit: Emit
) -> Influence | None:
    """The training pictures judged; what forbids it is an error where they were wanted, and a line where not."""
    if asked is None:
        return None
    try:
        found = trace(asked, workspace, emit)
        if not found.judged_on:
            raise LimnerError("one training picture alone has no others to be judged on", REMEDY)
    except LimnerError as error:
        return _left_out(request, error, emit)
    return found


def _left_out(request: EvaluateRequest, error: LimnerError, emit: Emit) -> None:
    if request.influence:
        raise error
    emit(Notice(text=f"the training pictures are not judged: {error.problem}"))


def told(found: Influence) -> dict[str, Any]:
    """Plain values for JSON; pictures by their names."""
    pictures = [
        {"name": Path(each.picture).name, **each.model_dump(exclude={"picture"})}
        for each in sorted(found.training, key=_worth)
    ]
    return {"judged_on": found.judged_on, **_counts(found), "pictures": pictures}


def learnt_page(found: Influence) -> dict[str, Any]:
    """What reports/learnt.html shows: the pictures that do harm or nothing, and the most useful ones."""
    order = sorted(found.training, key=_worth)
    bad = [each for each in order if each.verdict != "useful"]
    good = [each for each in reversed(order) if each.verdict == "useful"]
    return {
        "count": len(order),
        "judged_on": found.judged_on,
        **_counts(found),
        "bad": [_shown(each) for each in bad[:BAD]],
        "good": [_shown(each) for each in good[:GOOD]],
        "more": max(0, len(bad) - BAD),
    }


def _counts(found: Influence) -> dict[str, int]:
    return {"harmful": len(found.harmful), "useless": len(found.useless)}


def _worth(each: TrainingImage) -> float:
    return each.worth or 0.0


def _shown(each: TrainingImage) -> dict[str, Any]:
    return {
        "picture": embedded(open_image(each.picture), SIDE),
        "name": Path(each.picture).name,
        "caption": each.caption,
        "worth": f"{each.worth:+.3f}",
        "verdict": each.verdict,
    }
