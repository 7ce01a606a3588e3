"""Prompts of any length, with weights, for CLIP text encoders.

"(words:1.3)" weighs what is inside, as A1111 reads it; other brackets are just brackets, and "\\(" is one too. A prompt
longer than the encoder takes is read in parts, which are put one after another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from limner.models.tokens import spelt_out

_BRACKET = re.compile(r"(?<!\\)[()]")
_WEIGHT = re.compile(r":\s*(\d{1,4}(?:\.\d{1,9})?|\.\d{1,9})\s*")
HEAVIEST = 10.0


def weighed(prompt: str) -> list[tuple[str, float]]:
    """A prompt as pieces of text with their weights; weights of brackets in brackets are multiplied."""
    begins, ends = _brackets(prompt)
    pieces: list[tuple[str, float]] = []
    weights, start = [1.0], 0
    for place in sorted({*begins, *ends}):
        pieces.append((prompt[start:place], weights[-1]))
        if place in begins:
            weights.append(min(weights[-1] * begins[place], HEAVIEST))
            start = place + 1
        else:
            weights.pop()
            start = ends[place]
    pieces.append((prompt[start:], weights[-1]))
    return [(re.sub(r"\\([()])", r"\1", text), weight) for text, weight in pieces if text]


def _brackets(prompt: str) -> tuple[dict[int, float], dict[int, int]]:
    """Brackets that hold a weight: where they open, with the weight, and where their words end, with what follows."""
    begins: dict[int, float] = {}
    ends: dict[int, int] = {}
    opened: list[int] = []
    for found in _BRACKET.finditer(prompt):
        place = found.start()
        if found.group() == "(":
            opened.append(place)
        elif opened:
            opening, colon = opened.pop(), prompt.rfind(":", 0, place)
            told = _WEIGHT.fullmatch(prompt, colon, place) if colon > opening else None
            if told is not None:
                begins[opening], ends[colon] = float(told.group(1)), place + 1
    return begins, ends


@dataclass(frozen=True)
class Parts:
    """A prompt as the encoder takes it. ids: (parts, length). weights: (parts, length), 1 where nothing is weighed."""

    ids: torch.Tensor
    weights: torch.Tensor


def in_parts(tokenizer: Any, prompt: str) -> Parts:
    """Token ids of a prompt in parts of the encoder's length, each between the start and the end token."""
    room = tokenizer.model_max_length - 2
    parts: list[list[tuple[int, float]]] = [[]]
    for text, weight in weighed(prompt):
        for word in _words(tokenizer, text):
            if len(parts[-1]) + len(word) > room and parts[-1] and len(word) <= room:
                parts.append([])
            for token in word:
                if len(parts[-1]) == room:
                    parts.append([])
                parts[-1].append((token, weight))
    ids = torch.full((len(parts), room + 2), tokenizer.pad_token_id)
    weights = torch.ones(len(parts), room + 2)
    for row, part in enumerate(parts):
        told = [tokenizer.bos_token_id, *(token for token, _ in part), tokenizer.eos_token_id]
        ids[row, : len(told)] = torch.tensor(told)
        weights[row, 1 : len(part) + 1] = torch.tensor([weight for _, weight in part])
    return Parts(ids, weights)


def _words(tokenizer: Any, text: str) -> list[list[int]]:
    """Token ids, those of a word together."""
    ids = tokenizer(spelt_out(tokenizer, text), add_special_tokens=False, truncation=False, verbose=False).input_ids
    words: list[list[int]] = [[]]
    for token, name in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True):
        words[-1].append(token)
        if name.endswith("</w>"):
            words.append([])
    return [word for word in words if word]


def weigh(states: torch.Tensor, prompts: Sequence[Parts], empty: torch.Tensor) -> torch.Tensor:
    """States (k, length, width) of prompts' parts with their weights applied.

    empty: those of the empty prompt (1, length, width). A token of weight w is moved to empty + w (state - empty): 1
    leaves it as it is, 0 makes it the empty prompt's at the same place, more moves it further away. Nothing is divided
    by a statistic of the states, whose mean is near zero in many encoders.
    """
    weights = torch.cat([prompt.weights for prompt in prompts])[..., None].to(states)
    return torch.where(weights == 1, states, torch.lerp(empty, states, weights))


def read(
    encode: Sequence[tuple[Any, Callable[[torch.Tensor], torch.Tensor]]], *groups: Sequence[str]
) -> list[torch.Tensor]:
    """Groups of prompts -> states (n, parts x length, width) of each, all with as many parts as the longest needs.

    encode: tokenizers, each with what turns its ids (k, length) into states (k, length, width); widths are put side by
    side. A group goes through together, in the order of the groups; the empty prompt goes through last, where there are
    weights.
    """
    told = [[[in_parts(tokenizer, prompt) for prompt in group] for group in groups] for tokenizer, _ in encode]
    longest = max(len(part.ids) for stack in told for group in stack for part in group)
    sides: list[list[torch.Tensor]] = []
    for (tokenizer, states_of), stack in zip(encode, told, strict=True):
        empty = in_parts(tokenizer, "")
        stack = [[_lengthened(part, empty, longest) for part in group] for group in stack]
        read = [states_of(torch.cat([part.ids for part in group])) for group in stack]
        if any(bool((part.weights != 1).any()) for group in stack for part in group):
            neutral = states_of(empty.ids)
            read = [weigh(states, group, neutral) for states, group in zip(read, stack, strict=True)]
        sides.append(
            [states.reshape(len(group), -1, states.shape[-1]) for states, group in zip(read, stack, strict=True)]
        )
    return [torch.cat(widths, dim=-1) for widths in zip(*sides, strict=True)]


def _lengthened(part: Parts, empty: Parts, count: int) -> Parts:
    """The same prompt with empty parts behind it."""
    more = count - len(part.ids)
    return Parts(torch.cat([part.ids, *[empty.ids] * more]), torch.cat([part.weights, *[empty.weights] * more]))
