"""Checks of a SweepRequest that need no torch."""

from __future__ import annotations

from pathlib import Path

from limner.core.execution import Execution
from limner.core.requests import SweepRequest
from limner.engine.generate import checks as generate
from limner.engine.generate.checks import checked
from limner.engine.scoring.checks import checked_metric


def check(request: SweepRequest, execution: Execution, out: Path | None) -> None:
    """Raise LimnerError for a request that cannot be executed, as far as that is known without torch."""
    for cell in request.cells:
        checked(cell.request)
    for use in request.metric:
        checked_metric(use)


def check_values(request: SweepRequest) -> None:
    """Raise LimnerError for names and values that do not suit each other, whatever the files are."""
    for cell in request.cells:
        generate.check_values(cell.request)
    for use in request.metric:
        checked_metric(use)
