"""Scores galleries of images with the metrics of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch

from limner.core.errors import LimnerError
from limner.core.metrics import Encoder, ImageSet, Metric, MetricResult, Score, check_needs
from limner.core.requests import MetricUse, replace_references
from limner.engine.scoring.checks import checked_metric
from limner.engine.scoring.encoders import open_encoder
from limner.models.devices import pick_device
from limner.stats.intervals import interval, jackknife

MIN_IMAGES = 4
"""Images from which on the value of a single group has an interval, and values are compared."""


class Scorers:
    """The metrics of a request, each with its network loaded once. Raises LimnerError for a metric that cannot be used.

    encoder: the network of metrics that name none and need one. original_name: the user's name for a file, by which
    scores are named. device: of the networks. ready: by name, each metric, the user's name of its network, and the
    function that scores. models: by name, the network itself.
    """

    def __init__(
        self,
        uses: Iterable[MetricUse],
        encoder: str | None = None,
        original_name: Callable[[str], str] = str,
        device: str = "cpu",
    ) -> None:
        self.device = pick_device(device)
        self.ready: dict[str, tuple[Metric, str | None, Score]] = {}
        self.models: dict[str, str | None] = {}
        for use in uses:
            metric = checked_metric(use)
            model = use.model or (encoder if encoder and metric.model else metric.model)
            score = self._score_function(metric, use, model)
            name = model and "@".join(original_name(part) for part in (model, use.encoder) if part is not None)
            shown = str(replace_references(use, original_name))
            self.ready[shown], self.models[shown] = (metric, name, score), model

    def _score_function(self, metric: Metric, use: MetricUse, model: str | None) -> Score:
        """The function that scores; an encoder that the use names replaces the metric's default encoder."""
        replaced: list[str] = []

        def opened(name: str) -> Encoder:
            if use.encoder is None or name == model:
                return open_encoder(name, self.device)
            replaced.append(name)
            return open_encoder(use.encoder, self.device)

        score = metric.scorer(model, opened)
        if use.encoder is not None and not replaced:
            raise LimnerError(
                f"the metric {use.name!r} with {model!r} needs no encoder",
                f"write {use.name}=MODEL, and @@ for an @ in a name",
            )
        return score

    def encoder(self, name: str) -> Encoder:
        """An encoder on the device of the metrics."""
        return open_encoder(name, self.device)

    def check(self, gallery: ImageSet) -> None:
        """Raise LimnerError if the gallery lacks something that a metric needs."""
        for name, (metric, _, _) in self.ready.items():
            check_needs(name, metric, gallery)

    def score(self, gallery: ImageSet) -> dict[str, MetricResult]:
        """The score of each metric, by name."""
        self.check(gallery)
        return {name: self._scored(name, gallery) for name in self.ready}

    def _scored(self, name: str, gallery: ImageSet) -> MetricResult:
        metric, model, score = self.ready[name]
        with torch.inference_mode():
            values = np.asarray(score(gallery), dtype=np.float64)
        units = {"picture": len(gallery.items), "group": len(gallery.groups), "set": 1}[metric.unit]
        assert values.shape == (units,), f"{name} returned {values.shape}, not ({units},)"
        if not np.isfinite(values).all():
            raise LimnerError(
                f"the metric {name!r} returned a value that is not finite",
                "look at the images, or leave the metric out",
            )
        figures = _group_interval(score, gallery, values) if metric.unit == "group" else interval(values)
        return MetricResult(name, metric.title, metric.better, metric.unit, model, *figures, tuple(values.tolist()))


def _group_interval(score: Score, gallery: ImageSet, values: np.ndarray) -> tuple[float, float, float]:
    """Mean and interval over groups; for a single group, by leaving out each of its images in turn (jackknife)."""
    count = len(gallery.items)
    if len(values) > 1 or count < MIN_IMAGES:
        return interval(values)
    without = [subset(gallery, [i for i in range(count) if i != left_out]) for left_out in range(count)]
    with torch.inference_mode():
        return jackknife(float(values[0]), [float(score(each)[0]) for each in without])


def subset(gallery: ImageSet, indices: Sequence[int]) -> ImageSet:
    """Some items of a gallery, with everything that they are compared with."""
    base = tuple(gallery.base[i] for i in indices) if gallery.base else ()
    return ImageSet(tuple(gallery.items[i] for i in indices), gallery.references, gallery.training, base)


def scores_as_json(scores: Mapping[str, MetricResult]) -> dict[str, dict[str, object]]:
    """Scores by the keys of a report's JSON, without the infinite interval of a single value."""
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
        for name, score in scores.items()
    }


def figures(mean: float, low: float, high: float, digits: int = 3) -> str:
    """A mean with its interval as text, "0.31 [0.28, 0.34]"; the mean alone where the interval is infinite."""
    if not np.isfinite(low):
        return f"{mean:.{digits}g}"
    return f"{mean:.{digits}g} [{low:.{digits}g}, {high:.{digits}g}]"
