"""Prompts to token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def tokenise(tokenizer: Any, prompts: Sequence[str]) -> torch.Tensor:
    """Token ids (n, length), padded and cut to the length that the text encoder was made for."""
    return tokenizer(
        list(prompts), padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    ).input_ids
