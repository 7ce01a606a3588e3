"""Checks of an EvaluateRequest that need no torch."""

from __future__ import annotations

from pathlib import Path

from limner.core.execution import Execution
from limner.core.requests import EvaluateRequest
from limner.data.sets.folder import check_images
from limner.engine.compare.checks import check_trial
from limner.engine.compare.contestants import find_target
from limner.engine.compare.targets import ImagesTarget, target_of
from limner.engine.generate.checks import checked
from limner.engine.scoring.checks import checked_metric


def check(request: EvaluateRequest, execution: Execution, out: Path | None) -> None:
    """Raise LimnerError for a request that cannot be executed, as far as that is known without torch."""
    if not isinstance(target_of(request.target), ImagesTarget):
        checked(find_target(request.target, request.model).request(request, str(request.target)))
    for use in request.metric:
        checked_metric(use)
    if request.dataset is not None:
        check_images(request.dataset)


def check_values(request: EvaluateRequest) -> None:
    """Raise LimnerError for names and values that do not suit each other, whatever the files are."""
    check_trial(request, (request.target,), request.model)
