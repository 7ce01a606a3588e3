"""Words of a prompt that a model with a small vocabulary does not know, with the nearest ones that it knows."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

from limner.core.prompt_syntax import split_parts_of
from limner.core.text import shorten

_WORD = re.compile(r"\w(?:[\w'\u2019]*\w)?")
_FUNCTION_WORDS = (
    "a about above across after again all along also always an and any are around as at be been behind being "
    "below beneath beside besides between both but by can could down during each every few for from get gets had "
    "has have he her here hers him his how i if in inside into is it its itself just like many me more most much "
    "my near no nor not of off on one only onto or other our out outside over own per same she should so some "
    "such than that the their them then there these they this those through to together too toward towards under "
    "until up upon us very was we were what when where which while who whose will with within without would you "
    "your"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English words that name nothing to see (articles, prepositions, pronouns, conjunctions, auxiliaries)."""
NEAREST, SHOWN = 8, 40
"""The most words that get a suggestion, and the most letters of a word that are compared and shown."""
CUTOFF = 0.75
"""The least similarity of a suggestion (difflib's ratio): "corgy" and "corgi" have 0.8, "cow" and "crown" 0.75."""


def words_of(texts: Iterable[str]) -> frozenset[str]:
    """The words of some texts, in lower case."""
    return frozenset(word.casefold() for text in texts for word in _WORD.findall(text))


def unknown_words(text: str, known: Collection[str]) -> list[str]:
    """The words of a text that name something and are not among `known` (lower case), each once, in their order."""
    texts = split_parts_of(text)  # BREAK between parts is no word
    found = dict.fromkeys(word.casefold() for part in texts for word in _WORD.findall(part))
    return [word for word in found if word not in known and word not in FUNCTION_WORDS and not word.isdecimal()]


def nearest_word(word: str, known: Collection[str], synonyms: Mapping[str, str]) -> str | None:
    """A known word for an unknown one: a synonym, or else one that is spelt nearly so; None if there is neither."""
    for form in (word, word.removesuffix("'s"), word.removesuffix("s"), word.removesuffix("es")):
        if form in synonyms:
            return synonyms[form]
    # sorted, because the order of a set differs from process to process
    return next(iter(get_close_matches(word[:SHOWN], sorted(known), n=1, cutoff=CUTOFF)), None)


def describe_words(words: Iterable[str], known: Collection[str], synonyms: Mapping[str, str]) -> str:
    """Unknown words with the nearest known ones, for a notice; those beyond the first `NEAREST` are counted."""
    every = list(words)
    named: list[str] = []
    for word in every[:NEAREST]:
        near = nearest_word(word, known, synonyms)
        named.append(f"{shorten(word, SHOWN)!r}" + (f" (nearest: {near!r})" if near else ""))
    rest = len(every) - NEAREST
    return ", ".join(named) + (f" and {rest} more" if rest > 0 else "")
