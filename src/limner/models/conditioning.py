"""Prompts as arguments of a pipeline, each encoded once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch

from limner.core.protocols import Components, Family
from limner.models.cache import PromptCache

GROUP = 64
"""Prompts that are encoded in one batch at most."""


@torch.inference_mode()
def conditioning(
    family: Family, components: Components, prompts: Sequence[str], negative: str = ""
) -> Mapping[str, Any]:
    """Return the pipeline's arguments for prompts: a row for each, or a single row if they are all the same.

    Each different prompt is encoded once.
    """
    distinct = list(dict.fromkeys(prompts))
    encoded = [
        family.conditioning(components, part, [negative] * len(part))
        for part in (distinct[start : start + GROUP] for start in range(0, len(distinct), GROUP))
    ]
    if any(_shape(part) != _shape(encoded[0]) for part in encoded):  # some groups have longer prompts than others
        encoded = [family.conditioning(components, distinct, [negative] * len(distinct))]
    if len(distinct) == 1:
        return encoded[0]
    rows = [distinct.index(prompt) for prompt in prompts]
    return {name: _rows([part[name] for part in encoded], rows) for name in encoded[0]}


def cached_conditioning(
    cache: PromptCache, family: Family, components: Components, adapters: Hashable, prompt: str, negative: str
) -> Mapping[str, Any]:
    """Return the pipeline's arguments for one prompt, a single row, from the cache if it is there.

    adapters: the adapters that are applied to the text encoders.
    """
    return cache.get((adapters, prompt, negative), lambda: conditioning(family, components, [prompt], negative))


def _shape(part: Mapping[str, Any]) -> list[torch.Size]:
    return [value.shape[1:] for value in part.values() if isinstance(value, torch.Tensor)]


def _rows(parts: Sequence[Any], rows: Sequence[int]) -> Any:
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(list(parts))[list(rows)]
    values = [value for part in parts for value in part]
    return [values[row] for row in rows]
