"""Prompts -> what a pipeline is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from limner.core.protocols import Components, Family

GROUP = 64


@torch.inference_mode()
def conditioning(
    family: Family, components: Components, prompts: Sequence[str], negative: str = ""
) -> Mapping[str, Any]:
    """The pipeline's arguments for prompts, a row for each, or a single one where they are all the same.

    Each different prompt is encoded once.
    """
    known = list(dict.fromkeys(prompts))
    encoded = [
        family.conditioning(components, part, [negative] * len(part))
        for part in (known[start : start + GROUP] for start in range(0, len(known), GROUP))
    ]
    if any(_shape(part) != _shape(encoded[0]) for part in encoded):  # some hold a longer prompt than others
        encoded = [family.conditioning(components, known, [negative] * len(known))]
    if len(known) == 1:
        return encoded[0]
    rows = [known.index(prompt) for prompt in prompts]
    return {name: _rows([part[name] for part in encoded], rows) for name in encoded[0]}


def _shape(part: Mapping[str, Any]) -> list[torch.Size]:
    return [value.shape[1:] for value in part.values() if isinstance(value, torch.Tensor)]


def _rows(parts: Sequence[Any], rows: Sequence[int]) -> Any:
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(list(parts))[list(rows)]
    values = [value for part in parts for value in part]
    return [values[row] for row in rows]
