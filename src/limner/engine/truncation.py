"""Words that a text encoder cannot take."""

from __future__ import annotations

from ..core.events import Emit, Notice


def tell_truncation(parts: dict[str, object], what: str, text: str, emit: Emit) -> None:
    """Warn when the text encoder cannot take the whole text; `what` names it."""
    tokenizer = parts.get("tokenizer")
    limit = getattr(tokenizer, "model_max_length", None)
    if tokenizer is None or limit is None:
        return
    tokens = len(tokenizer(text).input_ids)  # type: ignore[operator]
    if tokens > limit:
        told = f"the {what} has {tokens} tokens and the model reads {limit}; the rest is left out"
        emit(Notice(text=told, level="warning"))
