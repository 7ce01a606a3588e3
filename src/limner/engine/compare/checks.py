"""Checks of a CompareRequest that need no torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from limner.core.execution import Execution
from limner.core.requests import CompareRequest, EvaluateRequest
from limner.core.requests.uses import Contestant
from limner.data.sets.folder import check_images
from limner.engine.compare.contestants import find_contestants
from limner.engine.generate.checks import check_settings, checked
from limner.engine.generate.schedulers import check_scheduler
from limner.engine.scoring.checks import checked_metric
from limner.plugins.registry import aliases, families


def check(request: CompareRequest, execution: Execution, out: Path | None) -> None:
    """Raise LimnerError for a request that cannot be executed, as far as that is known without torch."""
    for contestant in find_contestants(request):
        checked(contestant.request(request, request.prompt[0]))
    for use in request.metric:
        checked_metric(use)
    if request.references is not None:
        check_images(request.references)


def check_values(request: CompareRequest) -> None:
    """Raise LimnerError for names and values that do not suit each other, whatever the files are."""
    check_trial(request, request.contestants, request.model)


def check_trial(request: CompareRequest | EvaluateRequest, contestants: Iterable[Contestant], base: str | None) -> None:
    """Refuse a scheduler, a size and metrics that a model with an alias does not support. base: of adapters alone."""
    for contestant in contestants:
        if (alias := aliases().get(contestant.model or base or "")) is not None:
            check_settings(request, families.get(alias[0]).facts)
        elif not contestant.may_lack_base:
            check_scheduler(request.scheduler)
    for use in request.metric:
        checked_metric(use)
