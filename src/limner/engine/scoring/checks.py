"""Checks of metrics that need no torch."""

from __future__ import annotations

from limner.core.errors import LimnerError
from limner.core.metrics import Metric
from limner.core.requests import MetricUse
from limner.plugins.registry import metrics


def checked_metric(use: MetricUse) -> Metric:
    """The metric that a request names; raises LimnerError for an unknown one, and for a wrong number of networks."""
    metric = metrics.get(use.name)
    if metric.named and use.model is None:
        raise LimnerError(f"the metric {use.name!r} needs a model", f"write {use.name}=MODEL")
    if use.model is not None and metric.model is None and not metric.named:
        raise LimnerError(f"the metric {use.name!r} uses no model", f"write {use.name}")
    return metric
