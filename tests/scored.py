"""How tests ask a metric."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from limner.core.metrics import ImageSet, ScoredImage
from limner.core.requests import MetricUse
from limner.engine.scoring.scorers import Scorers


def values(use: str, gallery: ImageSet) -> np.ndarray:
    """What a metric says of a gallery, asked for as on a command line."""
    (scored,) = Scorers([MetricUse.model_validate(use)]).score(gallery).values()
    return np.array(scored.values)


def of(paths: Iterable[Path], **known: object) -> ImageSet:
    """A gallery of pictures without prompts, in one group."""
    return ImageSet(tuple(ScoredImage(path) for path in paths), **known)  # type: ignore[arg-type]
