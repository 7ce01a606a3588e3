"""Two clouds of features, as torchmetrics compares them."""

from __future__ import annotations

import importlib
from typing import Any

import torch

from limner.core.errors import LimnerError
from limner.core.metrics import ImageSet


class Features(torch.nn.Module):
    """Stands where torchmetrics expects a network, for what is encoded already: features (n, d) pass as they are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def torchmetrics_image(metric: str) -> Any:
    """The module of torchmetrics.image that has this metric; LimnerError where the package is missing."""
    try:
        return importlib.import_module(f"torchmetrics.image.{metric}")
    except ImportError as error:
        raise LimnerError(
            f"the metric {metric!r} needs the package torchmetrics", "pip install 'limner[evaluate]'"
        ) from error


def check_enough(metric: str, gallery: ImageSet, fewest: int) -> None:
    """Refuse sets so small that their distance would say nothing."""
    for count, what in ((len(gallery.items), "pictures"), (len(gallery.references), "photographs to compare with")):
        if count < fewest:
            raise LimnerError(
                f"the metric {metric!r} needs {fewest} {what} at least, and there are {count}",
                "give more, or leave the metric out",
            )
