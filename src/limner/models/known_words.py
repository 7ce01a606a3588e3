"""Notices of words in prompts that the model, or an adapter on it, was never trained on."""

from __future__ import annotations

from collections.abc import Sequence

from limner.core.events import Emit, Notice
from limner.core.unknown_words import describe_words, unknown_words, words_of
from limner.models.adapters import Adapter
from limner.models.loading import Model
from limner.store.blobs import REFERENCE


def notify_unknown_words(
    model: Model, what: str, texts: Sequence[str], emit: Emit, adapters: Sequence[Adapter] = ()
) -> None:
    """Emit one notice of the words in some texts that a model with a small vocabulary does not know.

    what: the kind of the texts, such as "prompt". Words by which adapters are called are known; what else an adapter
    learned from captions is not recorded.
    """
    domain, known = model.domain, known_words(model)
    if domain is None or known is None:
        return
    known |= words_of(str(word) for adapter in adapters for word in _called(adapter))
    found = [words for text in texts if (words := unknown_words(text, known))]
    if not found:
        return
    subject = f"the {what} has" if len(texts) == 1 else f"{len(found)} of {len(texts)} {what}s have"
    unless = f", unless {' or '.join(map(_title, adapters))} learned them" if adapters else ""
    named = describe_words(dict.fromkeys(word for words in found for word in words), known, domain.synonyms)
    text = f"{subject} words that {model.reference!r} does not know{unless}: {named}"
    emit(Notice(text=f"{text}; all that it knows: {domain.listing}", level="warning"))


def known_words(model: Model) -> frozenset[str] | None:
    """The words that a model with a small vocabulary knows, in lower case; None for a model of any words."""
    if model.domain is None:
        return None
    return words_of(phrase for phrases in model.domain.phrases().values() for phrase in phrases)


def _title(adapter: Adapter) -> str:
    """The name of an adapter; of one in storage, whose folder is named by a hash, the words by which it is called."""
    if not REFERENCE.fullmatch(f"sha256:{adapter.name}"):
        return adapter.name
    word, *others = [text for each in _called(adapter) if (text := str(each))] or ["the adapter"]
    class_word = next((each for each in others if each not in word), "")
    return f"{word} {class_word}".rstrip()


def _called(adapter: Adapter) -> list[object]:
    """Trigger words and class word of an adapter."""
    request, triggers = adapter.facts.get("request"), adapter.facts.get("trigger_words")
    return [
        *(triggers if isinstance(triggers, list) else ()),
        request.get("class_word", "") if isinstance(request, dict) else "",
        adapter.header.get("modelspec.trigger_phrase", ""),
    ]
