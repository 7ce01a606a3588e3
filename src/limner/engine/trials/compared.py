"""What came of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...core.metrics import Scored
from ...core.requests import CompareRequest
from .cells import Cell
from .contestants import Entrant
from .differences import Difference, verdict


@dataclass(frozen=True)
class Compared:
    """What came of a comparison. painted, scores: by the contestants' names."""

    request: CompareRequest
    entrants: tuple[Entrant, ...]
    painted: Mapping[str, Mapping[Cell, Path]]
    scores: Mapping[str, Mapping[str, Scored]]
    differences: tuple[Difference, ...]

    @property
    def verdict(self) -> str:
        return verdict(self.differences)
