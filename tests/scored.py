"""How tests ask a metric."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from limner.core.metrics import Gallery, Item
from limner.core.requests import MetricUse
from limner.engine.scoring.scorers import Scorers


def values(use: str, gallery: Gallery) -> np.ndarray:
    """What a metric says of a gallery, asked for as on a command line."""
    (scored,) = Scorers([MetricUse.model_validate(use)]).score(gallery).values()
    return np.array(scored.values)


def of(paths: Iterable[Path], **known: object) -> Gallery:
    """A gallery of pictures without prompts, in one group."""
    return Gallery(tuple(Item(path) for path in paths), **known)  # type: ignore[arg-type]
