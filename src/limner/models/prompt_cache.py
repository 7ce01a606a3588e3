"""What prompts were encoded to, kept beside the model that encoded them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch

from limner.core.protocols import Components, Family
from limner.models.cache import LruCache
from limner.models.conditioning import conditioning

BUDGET = 256 * 2**20
"""Bytes of encoded prompts for each model: some sixty of FLUX.1's, many thousands of the starter's."""

Embeddings = LruCache[Mapping[str, Any]]


def no_embeddings() -> Embeddings:
    """Room for what one model encodes."""
    return LruCache(BUDGET, _bytes)


def encoded(
    kept: Embeddings, family: Family, components: Components, adapters: Hashable, prompt: str, negative: str
) -> Mapping[str, Any]:
    """The pipeline's arguments for one prompt, a single row; adapters: those that act on the text encoders now."""
    return kept.of((adapters, prompt, negative), lambda: conditioning(family, components, [prompt], negative))


def _bytes(told: Mapping[str, Any]) -> int:
    tensors = [value for row in told.values() for value in (row if isinstance(row, list) else [row])]
    return sum(value.nbytes for value in tensors if isinstance(value, torch.Tensor))
