"""Learned words: whole words of a prompt that stand for token ids of their own."""

from __future__ import annotations

import unicodedata
from typing import Any
from weakref import WeakKeyDictionary

from limner.core.errors import LimnerError
from limner.core.text import whole_words

LONGEST = 200
"""Most characters of a learned word, as of an identifier."""

_words_by_tokenizer: WeakKeyDictionary[Any, dict[str, range]] = WeakKeyDictionary()
"""The learned words of each tokenizer, as `normalised` returns them, with their ids."""


def normalised(word: str) -> str:
    """A word as prompts are compared with it: composed (NFC), with single spaces, in lower case."""
    return " ".join(unicodedata.normalize("NFC", word).lower().split())


def add_word(tokenizer: Any, word: str, vectors: int) -> range:
    """Give a word ids after those of the vocabulary and of other learned words, one for each of its vectors.

    Raises LimnerError if the vocabulary or another learned word has it already.
    """
    words = _words_by_tokenizer.setdefault(tokenizer, {})
    key = normalised(word)
    if key in words or word in tokenizer.get_vocab():
        raise LimnerError(
            f"the word {word!r} is already used by the model or by another adapter",
            "choose another one, such as '<sks>', or leave that adapter out",
        )
    first = max((ids.stop for ids in words.values()), default=len(tokenizer))
    words[key] = range(first, first + vectors)
    return words[key]


def remove_word(tokenizer: Any, word: str) -> None:
    """Undo `add_word`."""
    del _words_by_tokenizer[tokenizer][normalised(word)]


def has_words(tokenizer: Any) -> bool:
    """Whether a tokenizer has learned words."""
    return bool(_words_by_tokenizer.get(tokenizer))


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """Return the token ids of a text, without start and end token. A learned word becomes the ids of its vectors.

    Learned words are found as whole words, in any case because CLIP's tokenizers read lower case, from the beginning
    of the text on; where several begin at the same place, the longest is used. The texts between them are tokenised
    one by one, as the tokenizers library does between added tokens.
    """
    words = _words_by_tokenizer.get(tokenizer)
    if not words:
        return _plain_ids(tokenizer, text)
    text = unicodedata.normalize("NFC", text)
    ordered = sorted(words, key=lambda word: (-len(word), word))
    ids, start = list[int](), 0
    for found in whole_words(*ordered).finditer(text):
        assert found.lastindex is not None
        ids += [*_plain_ids(tokenizer, text[start : found.start()]), *words[ordered[found.lastindex - 1]]]
        start = found.end()
    return ids + _plain_ids(tokenizer, text[start:])


def _plain_ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids if text else []
