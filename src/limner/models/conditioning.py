"""Prompts as arguments of a pipeline, each encoded once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch

from limner.core.protocols import Components, Family
from limner.models.cache import PromptCache
from limner.models.learned_words import WordSet, blend_of, only_words

GROUP = 64
"""Prompts that are encoded in one batch at most."""


@torch.inference_mode()
def conditioning(
    family: Family, components: Components, prompts: Sequence[str], negative: str = ""
) -> Mapping[str, Any]:
    """Return the pipeline's arguments for prompts: a row for each, or a single row if they are all the same.

    Each different prompt is encoded once; with learned words of other weights than 1, once for each set of `blend_of`.
    """
    tokenizers = [components.parts[name] for _, name, _ in family.facts.embeddings]
    (_, base), *further = blend_of(tokenizers[0]) if tokenizers else [(1.0, frozenset())]
    if not further:
        return _encoded(family, components, prompts, negative)
    before = blended = _encoded_with(family, components, prompts, negative, base)
    for weight, active in further:
        after = _encoded_with(family, components, prompts, negative, active)
        blended = {name: _moved(blended[name], weight, before[name], after[name]) for name in blended}
        before = after
    return blended


def _encoded_with(
    family: Family, components: Components, prompts: Sequence[str], negative: str, active: WordSet
) -> Mapping[str, Any]:
    """Return the arguments with a set of learned words."""
    with only_words((components.parts[name] for _, name, _ in family.facts.embeddings), active):
        return _encoded(family, components, prompts, negative)


def _moved(value: Any, weight: float, before: Any, after: Any) -> Any:
    """Return a tensor plus weight times the difference of two; anything else as it is."""
    return value + weight * (after - before) if isinstance(value, torch.Tensor) else value


def _encoded(family: Family, components: Components, prompts: Sequence[str], negative: str) -> Mapping[str, Any]:
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
