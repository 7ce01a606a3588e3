"""What a text encoder does not take of a prompt."""

from __future__ import annotations

from typing import Any

from limner.core.events import Emit, Notice
from limner.models.prompts import weighed


def warn_if_truncated(tokenizer: Any, limit: int, what: str, text: str, emit: Emit) -> None:
    """Warn when a text encoder does not take the whole text; `what` names it."""
    tokens = len(tokenizer(text).input_ids)
    if tokens > limit:
        told = f"the {what} has {tokens} tokens and the model reads {limit}; the rest is left out"
        emit(Notice(text=told, level="warning"))


def warn_of_weights(prompt: str, emit: Emit) -> None:
    """Warn of weights in a prompt whose text encoder knows none."""
    if any(weight != 1 for _, weight in weighed(prompt)):
        told = "this kind of model knows no weights in a prompt: it reads such brackets and numbers as words"
        emit(Notice(text=told, level="warning"))
