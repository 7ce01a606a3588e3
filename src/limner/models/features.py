"""Comparing features: cosines, and distances between sets of features by torchmetrics."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from limner.core.errors import LimnerError
from limner.core.metrics import Encoder, ImageSet
from limner.core.text import first_sentence

if TYPE_CHECKING:
    import torch


def cosines(first: torch.Tensor, second: torch.Tensor) -> np.ndarray:
    """Return the cosines (n, m) of features (n, d) and (m, d) of length 1, from -1 to 1, in fp64."""
    return (first.double() @ second.double().T).clamp(-1, 1).cpu().numpy()


def prompt_cosines(encoder: Encoder, gallery: ImageSet) -> np.ndarray:
    """Return the cosine of each image of a gallery with its own prompt, (n,)."""
    asked = [item.prompt or "" for item in gallery.items]
    prompts = list(dict.fromkeys(asked))
    similarity = cosines(encoder.images(gallery.paths), encoder.texts(prompts))
    return similarity[np.arange(len(asked)), [prompts.index(prompt) for prompt in asked]]


def check_reads_text(encoder: Encoder) -> Encoder:
    """Return the encoder; raise LimnerError if it has no text encoder, before anything is generated."""
    import torch

    try:
        with torch.inference_mode():
            encoder.texts(["a picture"])
    except (RuntimeError, IndexError, TypeError, KeyError, AttributeError) as error:  # parts that do not fit
        raise LimnerError(
            f"the encoder {encoder.name!r} cannot encode text ({first_sentence(str(error))})", "choose another one"
        ) from error
    return encoder


def passed_through(width: int) -> torch.nn.Module:
    """Return a network for torchmetrics that returns features (n, width) unchanged, of images already encoded."""
    import torch

    network = torch.nn.Identity()
    network.num_features = width  # type: ignore[assignment]
    return network


def torchmetrics_image(metric: str) -> Any:
    """Import the module of torchmetrics.image that has this metric."""
    try:
        return importlib.import_module(f"torchmetrics.image.{metric}")
    except ImportError as error:
        raise LimnerError(
            f"the metric {metric!r} needs the package torchmetrics", "pip install 'limner[evaluate]'"
        ) from error


def check_counts(metric: str, gallery: ImageSet, fewest: int) -> None:
    """Refuse sets that are too small for a meaningful distance."""
    for count, what in ((len(gallery.items), "images"), (len(gallery.references), "reference photos")):
        if count < fewest:
            raise LimnerError(
                f"the metric {metric!r} needs at least {fewest} {what}, and there are {count}",
                "add more, or leave the metric out",
            )
