"""Directions of features: how alike they are."""

from __future__ import annotations

import numpy as np
import torch

from limner.core.errors import LimnerError
from limner.core.metrics import Encoder, ImageSet


def cosines(first: torch.Tensor, second: torch.Tensor) -> np.ndarray:
    """Features (n, d) and (m, d) of length 1 -> cosines (n, m) in fp64, -1 to 1."""
    return (first.double() @ second.double().T).clamp(-1, 1).cpu().numpy()


def to_prompts(encoder: Encoder, gallery: ImageSet) -> np.ndarray:
    """Cosine of each picture of a gallery with its own prompt, (n,); LimnerError where the encoder reads no text."""
    asked = [item.prompt or "" for item in gallery.items]
    prompts = list(dict.fromkeys(asked))
    alike = cosines(encoder.images(gallery.pictures), encoder.texts(prompts))
    return alike[np.arange(len(asked)), [prompts.index(prompt) for prompt in asked]]


def reads_text(encoder: Encoder) -> Encoder:
    """The encoder, if it reads text, so that one that does not is told before anything is painted; LimnerError."""
    try:
        with torch.inference_mode():
            encoder.texts(["a picture"])
    except (RuntimeError, IndexError, TypeError, KeyError, AttributeError) as error:  # parts that do not fit
        raise LimnerError(
            f"the encoder {encoder.name!r} cannot read a text ({str(error)[:120]})", "choose another one"
        ) from error
    return encoder
