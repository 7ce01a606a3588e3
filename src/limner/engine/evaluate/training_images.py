"""The training images of an evaluated adapter: their worth, and which are useful, useless or harmful."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice
from limner.core.influence import Influence, TrainingImage
from limner.core.requests import EvaluateRequest, InfluenceRequest
from limner.core.workspace import Workspace
from limner.engine.compare.contestants import ModelWithAdapters
from limner.engine.influence.influence import trace, training_images
from limner.engine.influence.restored import training_of
from limner.models.adapters import open_adapter
from limner.reports.writer import file_data_url

LOWEST, HIGHEST, SIDE = 24, 6, 240
"""The most images of the lowest and the highest worth on the page, and their longest side in pixels."""
REMEDY = "leave it out with --no-influence"


def influence_request(
    request: EvaluateRequest, target: ModelWithAdapters | None, emit: Emit
) -> InfluenceRequest | None:
    """The request that measures the worth of the training images; None if that is not wanted or not possible.

    It names model and data itself, so that no path from the adapter's header is opened. Raises LimnerError if the
    evaluation asks for it and it is not possible.
    """
    if request.influence is False:
        return None
    if target is None or len(target.adapters) != 1 or request.dataset is None:
        if request.influence:
            raise LimnerError("influence needs a single adapter as the target", REMEDY)
        return None
    path = target.adapters[0].path
    try:
        adapter = open_adapter(path)
        training, _ = training_of(adapter)
        training_images(adapter, training, request.dataset)
    except LimnerError as error:
        return _raise_or_notify(request, error, emit)
    return InfluenceRequest(
        adapter=path,
        model=target.model,
        vae=target.vae,
        data=request.dataset,
        precision=request.precision,
    )


def measure_influence(
    request: EvaluateRequest, influence: InfluenceRequest | None, workspace: Workspace, emit: Emit
) -> Influence | None:
    """The influence of the training images. An error is raised if it was asked for, and else a notice."""
    if influence is None:
        return None
    try:
        found = trace(influence, workspace, emit)
        if not found.judged_on:
            raise LimnerError("a single training image has no others to be judged on", REMEDY)
    except LimnerError as error:
        return _raise_or_notify(request, error, emit)
    return found


def _raise_or_notify(request: EvaluateRequest, error: LimnerError, emit: Emit) -> None:
    if request.influence:
        raise error
    emit(Notice(text=f"the training images are not judged: {error.problem}"))


def influence_as_json(found: Influence) -> dict[str, Any]:
    """The influence by the keys of report.json, with file names instead of paths."""
    images = [
        {"name": Path(each.picture).name, **each.model_dump(exclude={"picture"})}
        for each in sorted(found.training, key=_worth)
    ]
    counts = {"harmful": len(found.harmful), "useless": len(found.useless), "cannot_tell": found.cannot_tell}
    return {"judged_on": found.judged_on, **counts, "pictures": images}


def training_page(found: Influence) -> dict[str, Any]:
    """What reports/training_images.html shows: the images of the lowest and of the highest worth."""
    order = sorted(found.training, key=_worth)
    bad = [each for each in order if each.verdict != "useful"]
    good = [each for each in reversed(order) if each not in bad[:LOWEST]]
    return {
        "verdict": found.usefulness,
        "judged_on": found.judged_on,
        "bad": [_shown(each) for each in bad[:LOWEST]],
        "good": [_shown(each) for each in good[:HIGHEST]],
        "more": max(0, len(bad) - LOWEST),
    }


def _worth(each: TrainingImage) -> float:
    return each.worth or 0.0


def _shown(each: TrainingImage) -> dict[str, Any]:
    return {
        "picture": file_data_url(each.picture, SIDE),
        "name": Path(each.picture).name,
        "caption": each.caption,
        "worth": each.worth_figures,
        "verdict": each.verdict or "",
    }
