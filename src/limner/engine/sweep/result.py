"""The result of a sweep: images and scores by cell, and curves along the axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from limner.core.metrics import MetricResult
from limner.core.requests import Axis, Cell, SweepRequest
from limner.engine.generate.parts import ImagesBySeed
from limner.stats.intervals import interval

Interval = tuple[float, float, float]
"""A mean, and the ends of its interval."""
UNKNOWN: Interval = (float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class SweepResult:
    """Images and scores by cell. scores: empty for a cell of which images were withheld. doubts: why a metric does not
    decide which value is better, for those that do not. smallest: by metric, the smallest difference that matters.
    """

    request: SweepRequest
    images: Sequence[ImagesBySeed]
    scores: Sequence[Mapping[str, MetricResult]]
    doubts: Mapping[str, str] = field(default_factory=dict[str, str])
    smallest: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def cells(self) -> tuple[Cell, ...]:
        return self.request.cells

    @property
    def metrics(self) -> dict[str, MetricResult]:
        """The metrics by name, each as scored in some cell."""
        return dict(next((scores for scores in self.scores if scores), {}))

    def along(self, axis: Axis, metric: str) -> list[np.ndarray]:
        """All values of a metric for each value of an axis, in the same order of the other axes and seeds."""
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

    def curve(self, axis: Axis, metric: str) -> list[Interval]:
        """The mean of a metric and its interval for each value of an axis; NaN where all images were withheld."""
        if len(self.request.axes) == 1:
            found = [scores.get(metric) for scores in self.scores]
            return [(score.mean, score.low, score.high) if score else UNKNOWN for score in found]
        return [interval(values) if len(values) else UNKNOWN for values in self.along(axis, metric)]

    def first_image(self, cell: int) -> Path | None:
        """A cell's image of the first seed, None if it was withheld."""
        return self.images[cell].get(self.cells[cell].request.seed)
