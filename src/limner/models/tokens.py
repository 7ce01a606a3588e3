"""Prompts to token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def tokenise(tokenizer: Any, prompts: Sequence[str], longest: int | None = None) -> torch.Tensor:
    """Token ids (n, length), padded and cut to the length that the text encoder was made for, at most `longest`."""
    prompts = [spelt_out(tokenizer, prompt) for prompt in prompts]
    length = min(tokenizer.model_max_length, longest or tokenizer.model_max_length)
    return tokenizer(prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids


def spelt_out(tokenizer: Any, prompt: str) -> str:
    """A prompt in which a learnt word of several vectors is followed by what stands for the further ones.

    As diffusers does it when its pipelines are given text.
    """
    known = tokenizer.added_tokens_encoder
    for token in set(tokenizer.tokenize(prompt)) & known.keys():
        further = []
        while (name := f"{token}_{len(further) + 1}") in known:
            further.append(name)
        prompt = prompt.replace(token, " ".join((token, *further)))
    return prompt


def converse(tokenizer: Any, prompts: Sequence[str], longest: int, thinking: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask (n, longest) of prompts as a chat model is asked them, padded and cut."""
    asked = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True, enable_thinking=thinking
        )
        for prompt in prompts
    ]
    told = tokenizer(asked, padding="max_length", max_length=longest, truncation=True, return_tensors="pt")
    return told.input_ids, told.attention_mask
