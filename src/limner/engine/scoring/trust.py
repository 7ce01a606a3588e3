"""Whether a metric may decide which image of a model is better, and from which difference on: by its agreement.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from limner.core.agreement import AGREES, FILE, AgreementRecord
from limner.core.metrics import MetricResult
from limner.core.small_json import read_small_json
from limner.models import loading

PIXELS = "starter"
"""The model with which metrics that use no network are compared with the truth; they do not depend on a model."""


def distrust(
    metric: str,
    title: str,
    models: Iterable[str],
    network: str | None = None,
    original_name: Callable[[str], str] = str,
) -> str | None:
    """Why a metric does not decide which images of these models are better; None if it agrees with the truth on all.

    models: references of base models. network: the user's name of the metric's network, None if it uses none.
    original_name: the user's name for a file.
    """
    shown = f"{title} by the encoder of {network}" if network else title
    for model in dict.fromkeys(models):
        record = recorded_agreement(model)
        lowest = record and record.lowest(metric, network)
        if lowest is None:
            return f"it was not measured whether {shown} agrees with the truth on {original_name(model)}"
        if lowest.low < AGREES:
            figures = f"rank correlation {lowest.correlation:.2f}, at least {lowest.low:.2f}; {AGREES:g} is needed"
            return f"{shown} agrees too little with the truth on {original_name(model)} ({figures})"
    return None


def distrust_of(score: MetricResult, models: Iterable[str], original_name: Callable[[str], str] = str) -> str | None:
    """The same for the metric of a result."""
    name = score.metric.split("=")[0]
    return distrust(name, score.title, models if score.model else [PIXELS], score.model, original_name)


def smallest_difference(score: MetricResult, models: Iterable[str]) -> float:
    """The smallest difference of a result's metric that matters on all of these models; 0 where none was measured."""
    records = (recorded_agreement(model) for model in (models if score.model else [PIXELS]))
    found = (record and record.smallest(score.metric.split("=")[0], score.model) for record in records)
    return max((each or 0.0 for each in found), default=0.0)


def recorded_agreement(model: str) -> AgreementRecord | None:
    """The record in the folder of a model; None where there is none."""
    folder = loading.folder_on_disk(model)
    path = folder and folder / FILE
    return _read(path, path.stat().st_mtime_ns) if path is not None and path.is_file() else None


@cache
def _read(path: Path, changed: int) -> AgreementRecord:
    return read_small_json(path, AgreementRecord, "a record of agreement", "delete it, or write it again")
