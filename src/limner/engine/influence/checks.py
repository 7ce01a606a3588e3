"""Checks of an InfluenceRequest that need no torch."""

from __future__ import annotations

from pathlib import Path

from limner.core.execution import Execution
from limner.core.requests import InfluenceRequest
from limner.data.sets.folder import check_images
from limner.models import loading
from limner.models.adapters import open_adapter


def check(request: InfluenceRequest, execution: Execution, out: Path | None) -> None:
    """Raise LimnerError for a request that cannot be executed, as far as that is known without torch."""
    open_adapter(request.adapter)
    if request.model is not None:
        loading.resolve(request.model, request.vae)
    for path in (*request.picture, *([] if request.data is None else [request.data])):
        check_images(path)
