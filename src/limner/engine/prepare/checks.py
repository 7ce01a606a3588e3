"""Checks of a PrepareRequest that need no torch."""

from __future__ import annotations

from pathlib import Path

from limner.core.execution import Execution
from limner.core.requests import PrepareRequest
from limner.data.captions.catalogue import read_catalogue
from limner.engine.prepare.entries import check_sources
from limner.plugins.registry import detectors


def check(request: PrepareRequest, execution: Execution, out: Path | None) -> None:
    """Raise LimnerError for a request that cannot be executed, as far as that is known without torch."""
    if out is not None:
        check_sources(request, out)
    if request.catalogue is not None:
        read_catalogue(request.catalogue)
    if _detects(request):
        detectors.get(request.detector)


def check_values(request: PrepareRequest) -> None:
    """Raise LimnerError for a detector that does not exist."""
    if _detects(request):
        detectors.check(request.detector)


def _detects(request: PrepareRequest) -> bool:
    return request.crop == "subject" or request.make_masks
