"""Prompts as token ids; prompts of any length, with weights, as hidden states of CLIP text encoders.

Weights are parsed in `limner.core.prompt_syntax`. A prompt that is longer than the encoder takes is encoded in chunks,
which are concatenated; BREAK begins a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from limner.core.events import Emit, Notice
from limner.core.prompt_syntax import parse_weights, split_parts_of
from limner.models.learned_words import WordSet, blend_of, with_tokens


def tokenise(tokenizer: Any, prompts: Sequence[str], longest: int | None = None) -> torch.Tensor:
    """Return token ids (n, length), padded and cut to the text encoder's length, or to `longest` if that is less."""
    prompts = [with_tokens(tokenizer, prompt) for prompt in prompts]
    length = min(tokenizer.model_max_length, longest or tokenizer.model_max_length)
    return tokenizer(prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids


def _padded_ids(tokenizer: Any, rows: Sequence[Sequence[int]], length: int) -> torch.Tensor:
    """Return token ids (n, length) of rows, each with start and end token, padded."""
    ids = torch.full((len(rows), length), tokenizer.pad_token_id)
    for place, row in enumerate(rows):
        whole = [tokenizer.bos_token_id, *row, tokenizer.eos_token_id]
        ids[place, : len(whole)] = torch.tensor(whole)
    return ids


def tokenise_chat(
    tokenizer: Any, prompts: Sequence[str], longest: int, thinking: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and attention mask (n, longest) of prompts in a chat template, padded and cut."""
    messages = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True, enable_thinking=thinking
        )
        for prompt in prompts
    ]
    tokens = tokenizer(messages, padding="max_length", max_length=longest, truncation=True, return_tensors="pt")
    return tokens.input_ids, tokens.attention_mask


def warn_if_truncated(tokenizer: Any, limit: int, what: str, text: str, emit: Emit) -> None:
    """Emit a warning if a text has more tokens than the text encoder reads. what: name of the text."""
    tokens = len(tokenizer(text).input_ids)
    if tokens > limit:
        warning = f"the {what} has {tokens} tokens and the model reads {limit}; the rest is left out"
        emit(Notice(text=warning, level="warning"))


def warn_of_weights(prompt: str, emit: Emit) -> None:
    """Emit a warning if a prompt has weights; for text encoders that do not support them."""
    if any(weight != 1 for _, weight in parse_weights(prompt)):
        warning = "this model does not support weights in a prompt: it reads the brackets and numbers as words"
        emit(Notice(text=warning, level="warning"))


@dataclass(frozen=True)
class Chunks:
    """A prompt in chunks of the encoder's length. ids, weights: (chunks, length); the default weight is 1."""

    ids: torch.Tensor
    weights: torch.Tensor


def to_chunks(tokenizer: Any, prompt: str, active: WordSet | None = None) -> Chunks:
    """Return the token ids of a prompt in chunks, each between the start and the end token. BREAK begins a chunk.

    active: as in `with_tokens`.
    """
    room = tokenizer.model_max_length - 2
    chunks: list[list[tuple[int, float]]] = [[]]
    for text, weight in parse_weights(prompt):
        for number, part in enumerate(split_parts_of(text)):
            if number and chunks[-1]:
                chunks.append([])
            for word in _words(tokenizer, part, active):
                if len(chunks[-1]) + len(word) > room and chunks[-1] and len(word) <= room:
                    chunks.append([])
                for token in word:
                    if len(chunks[-1]) == room:
                        chunks.append([])
                    chunks[-1].append((token, weight))
    if len(chunks) > 1 and not chunks[-1]:  # BREAK at the end
        chunks.pop()
    ids = _padded_ids(tokenizer, [[token for token, _ in chunk] for chunk in chunks], room + 2)
    weights = torch.ones(len(chunks), room + 2)
    for row, chunk in enumerate(chunks):
        weights[row, 1 : len(chunk) + 1] = torch.tensor([weight for _, weight in chunk])
    return Chunks(ids, weights)


def _words(tokenizer: Any, text: str, active: WordSet | None) -> list[list[int]]:
    """Return token ids, grouped by word; a learned word is grouped with the word after it."""
    text = with_tokens(tokenizer, text, active)
    ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
    words: list[list[int]] = [[]]
    for token, name in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True):
        words[-1].append(token)
        if name.endswith("</w>"):
            words.append([])
    return [word for word in words if word]


def apply_weights(states: torch.Tensor, prompts: Sequence[Chunks], empty: torch.Tensor) -> torch.Tensor:
    """Apply the weights of prompts to the states (k, length, width) of their chunks.

    empty: states of the empty prompt (1, length, width). A token of weight w is moved to empty + w (state - empty): 1
    changes nothing, 0 gives the empty prompt's state, more moves it further away. Nothing is divided by a statistic of
    the states, because their mean is near zero in many encoders.
    """
    weights = torch.cat([prompt.weights for prompt in prompts])[..., None].to(states)
    return torch.where(weights == 1, states, torch.lerp(empty, states, weights))


def encode_weighted(
    encoders: Sequence[tuple[Any, Callable[[torch.Tensor], torch.Tensor]]], *groups: Sequence[str]
) -> list[torch.Tensor]:
    """Encode groups of prompts as states (n, chunks x length, width), with as many chunks as the longest prompt needs.

    encoders: tokenizers, each with a function from ids (k, length) to states (k, length, width); the widths are
    concatenated. Each group is one batch, in the order of the groups; the empty prompt is encoded last, if there are
    weights.
    """
    chunked = [[[to_chunks(tokenizer, prompt) for prompt in group] for group in groups] for tokenizer, _ in encoders]
    longest = max(
        len(to_chunks(tokenizer, prompt, active).ids)  # the same for all sets of words that are blended
        for tokenizer, _ in encoders
        for _, active in blend_of(tokenizer)
        for group in groups
        for prompt in group
    )
    sides: list[list[torch.Tensor]] = []
    for (tokenizer, encode), stack in zip(encoders, chunked, strict=True):
        empty = to_chunks(tokenizer, "")
        stack = [[_padded(prompt, empty, longest) for prompt in group] for group in stack]
        encoded = [encode(torch.cat([prompt.ids for prompt in group])) for group in stack]
        if any(bool((prompt.weights != 1).any()) for group in stack for prompt in group):
            neutral = encode(empty.ids)
            encoded = [apply_weights(states, group, neutral) for states, group in zip(encoded, stack, strict=True)]
        sides.append(
            [states.reshape(len(group), -1, states.shape[-1]) for states, group in zip(encoded, stack, strict=True)]
        )
    return [torch.cat(widths, dim=-1) for widths in zip(*sides, strict=True)]


def _padded(prompt: Chunks, empty: Chunks, count: int) -> Chunks:
    """Append empty chunks up to a count."""
    more = count - len(prompt.ids)
    return Chunks(torch.cat([prompt.ids, *[empty.ids] * more]), torch.cat([prompt.weights, *[empty.weights] * more]))
