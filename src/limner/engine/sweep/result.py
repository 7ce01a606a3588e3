"""What came of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from limner.core.metrics import MetricResult
from limner.core.requests import Axis, Cell, SweepRequest
from limner.engine.generate.parts import ImagesBySeed
from limner.stats.intervals import interval


@dataclass(frozen=True)
class Swept:
    """What came of a sweep, cell by cell. scores: empty for a cell of which pictures were withheld."""

    request: SweepRequest
    painted: Sequence[ImagesBySeed]
    scores: Sequence[Mapping[str, MetricResult]]

    @property
    def cells(self) -> tuple[Cell, ...]:
        return self.request.cells

    @property
    def metrics(self) -> dict[str, MetricResult]:
        """The metrics by name, each as it is in some cell."""
        return dict(next((scores for scores in self.scores if scores), {}))

    def along(self, axis: Axis, metric: str) -> list[np.ndarray]:
        """For each value of an axis all values of a metric, in one order of the other axes and seeds."""
        place = self.request.axes.index(axis)
        rows = [
            [
                scores[metric].values
                for cell, scores in zip(self.cells, self.scores, strict=True)
                if scores and cell.values[place] == value
            ]
            for value in axis.values
        ]
        return [np.concatenate([np.asarray(part) for part in row]) if row else np.empty(0) for row in rows]

    def curve(self, axis: Axis, metric: str) -> list[tuple[float, float, float]]:
        """For each value of an axis the metric's mean with its interval; NaN where all was withheld."""
        unknown = float("nan")
        nothing = (unknown, unknown, unknown)
        if len(self.request.axes) == 1:
            found = [scores.get(metric) for scores in self.scores]
            return [(score.mean, score.low, score.high) if score else nothing for score in found]
        return [interval(values) if len(values) else nothing for values in self.along(axis, metric)]

    def picture(self, cell: int) -> Path | None:
        """The cell's picture of the first seed, where it was not withheld."""
        return self.painted[cell].get(self.cells[cell].request.seed)
