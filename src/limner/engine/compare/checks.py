"""Checks of a CompareRequest that need no torch."""

from __future__ import annotations

from pathlib import Path

from limner.core.execution import Execution
from limner.core.requests import CompareRequest
from limner.data.sets.folder import check_images
from limner.engine.compare.contestants import find_contestants
from limner.engine.generate.checks import checked
from limner.engine.scoring.checks import checked_metric


def check(request: CompareRequest, execution: Execution, out: Path | None) -> None:
    """Raise LimnerError for a request that cannot be executed, as far as that is known without torch."""
    for contestant in find_contestants(request):
        checked(contestant.request(request, request.prompt[0]))
    for use in request.metric:
        checked_metric(use)
    if request.references is not None:
        check_images(request.references)
