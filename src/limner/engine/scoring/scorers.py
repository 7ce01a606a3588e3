"""Galleries -> scores, by the metrics that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch

from limner.core.errors import LimnerError
from limner.core.metrics import Encoder, ImageSet, Metric, MetricResult, Score, check_needs
from limner.core.requests import MetricUse, replace_references
from limner.engine.scoring.encoders import open_encoder
from limner.plugins.registry import metrics
from limner.stats.intervals import interval, jackknife

LEAST = 4
"""Pictures from which on a group's value has an interval, and values are compared."""


class Scorers:
    """Metrics made ready, each with its network opened once; raises LimnerError for what cannot be.

    encoder: the network of those metrics that name none and need one. called: how the user calls a file, by which the
    scores are named.
    """

    def __init__(
        self, uses: Iterable[MetricUse], encoder: str | None = None, called: Callable[[str], str] = str
    ) -> None:
        self.ready: dict[str, tuple[Metric, str | None, Score]] = {}
        for use in uses:
            metric = metrics.get(use.name)
            if metric.named and use.model is None:
                raise LimnerError(f"the metric {use.name!r} needs a model", f"name it: {use.name}=MODEL")
            if use.model is not None and metric.model is None and not metric.named:
                raise LimnerError(f"the metric {use.name!r} scores with no model", f"write {use.name} alone")
            model = use.model or (encoder if encoder and metric.model else metric.model)
            score = _scorer(metric, use, model)
            self.ready[str(replace_references(use, called))] = metric, _told(use, model, called), score

    def check(self, gallery: ImageSet) -> None:
        """Raise LimnerError where a metric misses something in the gallery."""
        for name, (metric, _, _) in self.ready.items():
            check_needs(name, metric, gallery)

    def score(self, gallery: ImageSet) -> dict[str, MetricResult]:
        """What each metric says of a gallery."""
        self.check(gallery)
        return {name: self._scored(name, gallery) for name in self.ready}

    def _scored(self, name: str, gallery: ImageSet) -> MetricResult:
        metric, model, score = self.ready[name]
        with torch.inference_mode():
            values = np.asarray(score(gallery), dtype=np.float64)
        units = {"picture": len(gallery.items), "group": len(gallery.groups), "set": 1}[metric.unit]
        assert values.shape == (units,), f"{name} gave {values.shape}, not ({units},)"
        if not np.isfinite(values).all():
            raise LimnerError(
                f"the metric {name!r} gave a number that is none", "look at the pictures, or leave it out"
            )
        told = self._of_one_group(score, gallery, values) if metric.unit == "group" else interval(values)
        return MetricResult(name, metric.title, metric.better, metric.unit, model, *told, tuple(values.tolist()))

    def _of_one_group(self, score: Score, gallery: ImageSet, values: np.ndarray) -> tuple[float, float, float]:
        """Mean and interval of groups' values; of a single group, whose pictures are left out in turn."""
        count = len(gallery.items)
        if len(values) > 1 or count < LEAST:
            return interval(values)
        left = [parts(gallery, [i for i in range(count) if i != out]) for out in range(count)]
        with torch.inference_mode():
            return jackknife(float(values[0]), [float(score(each)[0]) for each in left])


def _scorer(metric: Metric, use: MetricUse, model: str | None) -> Score:
    """What scores, with the encoder that was named in place of the one that the metric would have itself."""
    asked: list[str] = []

    def opened(name: str) -> Encoder:
        if use.encoder is None or name == model:
            return open_encoder(name)
        asked.append(name)
        return open_encoder(use.encoder)

    score = metric.scorer(model, opened)
    if use.encoder is not None and not asked:
        raise LimnerError(
            f"the metric {use.name!r} scores by {model!r} and needs no encoder",
            f"write {use.name}=MODEL, and a @ in a name as @@",
        )
    return score


def _told(use: MetricUse, model: str | None, called: Callable[[str], str]) -> str | None:
    """What scores, as the user calls it."""
    return model and "@".join(called(part) for part in (model, use.encoder) if part is not None)


def told(scored: Mapping[str, MetricResult]) -> dict[str, dict[str, object]]:
    """Scores as plain values for JSON; an interval of one value is not told."""
    return {
        name: {
            "mean": score.mean,
            **({"low": score.low, "high": score.high} if np.isfinite(score.low) else {}),
            "count": len(score.values),
            "of": score.unit,
            "better": score.better,
            "model": score.model,
            "values": list(score.values),
        }
        for name, score in scored.items()
    }


def parts(gallery: ImageSet, chosen: Sequence[int]) -> ImageSet:
    """Some items of a gallery, with what they are compared with."""
    base = tuple(gallery.base[i] for i in chosen) if gallery.base else ()
    return ImageSet(tuple(gallery.items[i] for i in chosen), gallery.references, gallery.training, base)
