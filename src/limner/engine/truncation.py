"""Words that a text encoder cannot take."""

from __future__ import annotations

from typing import Any

from ..core.events import Emit, Notice


def tell_truncation(tokenizer: Any, limit: int, what: str, text: str, emit: Emit) -> None:
    """Warn when a text encoder does not take the whole text; `what` names it."""
    tokens = len(tokenizer(text).input_ids)
    if tokens > limit:
        told = f"the {what} has {tokens} tokens and the model reads {limit}; the rest is left out"
        emit(Notice(text=told, level="warning"))
