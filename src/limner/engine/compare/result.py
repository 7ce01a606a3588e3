"""What came of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limner.core.metrics import MetricResult
from limner.core.requests import CompareRequest
from limner.engine.compare.cells import Cell
from limner.engine.compare.contestants import Entrant
from limner.engine.compare.differences import Difference, verdict


@dataclass(frozen=True)
class Compared:
    """What came of a comparison. painted, scores: by the contestants' names."""

    request: CompareRequest
    entrants: tuple[Entrant, ...]
    painted: Mapping[str, Mapping[Cell, Path]]
    scores: Mapping[str, Mapping[str, MetricResult]]
    differences: tuple[Difference, ...]

    @property
    def verdict(self) -> str:
        return verdict(self.differences)
