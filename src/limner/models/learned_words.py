"""Learned words: whole words of a prompt that stand for tokens of their own."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from limner.core.errors import LimnerError
from limner.core.text import whole_words

LONGEST = 200
"""Most characters of a learned word, as of an identifier."""
MARK = "\ue000"
"""Around the names of tokens: a character for private use, which no prompt has and every tokenizer keeps."""

WordSet = frozenset[str]
"""Learned words, as `normalised` returns them."""


@dataclass(frozen=True, slots=True)
class LearnedWord:
    """The names of a word's tokens, one for each vector, the weight of its adapter, and the tokenizer without it."""

    tokens: tuple[str, ...]
    weight: float
    before: str


_words: WeakKeyDictionary[Any, dict[str, LearnedWord]] = WeakKeyDictionary()
"""The learned words of each tokenizer, as `normalised` returns them."""
_active: WeakKeyDictionary[Any, WordSet] = WeakKeyDictionary()
"""The words that count, for tokenizers for which not all do."""


def normalised(word: str) -> str:
    """A word as prompts are compared with it: composed (NFC), with single spaces, in lower case."""
    return " ".join(unicodedata.normalize("NFC", word).lower().split())


def add_word(tokenizer: Any, word: str, vectors: int, weight: float = 1.0) -> int:
    """Give a word tokens, one for each of its vectors, and return the id of the first; the others follow.

    weight: of its adapter. Raises LimnerError if the vocabulary or another learned word has it already.
    """
    words = _words.setdefault(tokenizer, {})
    key = normalised(word)
    if key in words or word in tokenizer.get_vocab():
        raise LimnerError(
            f"the word {word!r} is already used by the model or by another adapter",
            "choose another one, such as '<sks>', or leave that adapter out",
        )
    first = len(tokenizer)
    tokens = tuple(f"{MARK}{first + place}{MARK}" for place in range(vectors))
    words[key] = LearnedWord(tokens, weight, tokenizer.backend_tokenizer.to_str())
    tokenizer.add_tokens(list(tokens))
    return tokenizer.convert_tokens_to_ids(tokens[0])


def remove_word(tokenizer: Any, word: str) -> None:
    """Undo `add_word`; of several words, the last one first."""
    from tokenizers import Tokenizer

    tokenizer._tokenizer = Tokenizer.from_str(_words[tokenizer].pop(normalised(word)).before)


def with_tokens(tokenizer: Any, prompt: str, active: WordSet | None = None) -> str:
    """Return a prompt in which learned words are the names of their tokens, with spaces between, as diffusers writes
    them.

    Learned words are found as whole words, in any case because CLIP's tokenizers read lower case; where several begin
    at the same place, the longest is used. active: those that count; None for those of `only_words`, or all.
    """
    if active is None:
        active = _active.get(tokenizer)
    words = {word: known for word, known in _words.get(tokenizer, {}).items() if active is None or word in active}
    if not words:
        return prompt
    ordered = sorted(words, key=lambda word: (-len(word), word))
    tokens = [" ".join(words[word].tokens) for word in ordered]
    text = unicodedata.normalize("NFC", prompt)
    return whole_words(*ordered).sub(lambda found: tokens[(found.lastindex or 1) - 1], text)


def blend_of(tokenizer: Any) -> list[tuple[float, WordSet]]:
    """Return sets of words with weights: those of weight 1, then with each other word in the alphabet's order.

    A prompt's states are those of the first set, plus each further weight times the difference to the set before. So a
    word moves the states from those without it as far as its weight says, and leaves a prompt that lacks it as it is.
    """
    words = _words.get(tokenizer, {})
    blend = [(1.0, frozenset(word for word, known in words.items() if known.weight == 1))]
    for word in sorted(words.keys() - blend[0][1]):
        blend.append((words[word].weight, blend[-1][1] | {word}))
    return blend


@contextmanager
def only_words(tokenizers: Iterable[Any], active: WordSet) -> Iterator[None]:
    """Open a context in which only these learned words count."""
    tokenizers = tuple(tokenizers)
    for tokenizer in tokenizers:
        _active[tokenizer] = active
    try:
        yield
    finally:
        for tokenizer in tokenizers:
            del _active[tokenizer]
