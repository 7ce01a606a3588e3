"""Check `words`: a list of words and phrases, matched in spite of common disguises.

It stops careless users, not determined ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any

import yaml
from pydantic import Field

from limner.core.blocked_words import fold, pattern_of, plain, unweighted, variants, variants_of
from limner.core.errors import LimnerError
from limner.core.moderation import Finding, JudgeFunction
from limner.core.phrase_starts import NEVER, PhraseStarts
from limner.core.requests import Frozen, Name

LIST = Path(__file__).with_name("words.yaml")
ADDED = "words that the policy of this server forbids"
"""Category of the words that a policy adds."""
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_NUMBERS = f"one two three four five six seven eight nine {_TEENS}".split()
_AGE = rf"(?:[1-9]|1[0-7]|{'|'.join(map(pattern_of, _NUMBERS))})"
_LOCK = Lock()
"""Matching holds the interpreter's lock: several threads would only slow down the server's event loop."""
_NO_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff]")
"""Scripts without spaces between words."""


class WordsOptions(Frozen):
    """add: further words and phrases to refuse; `*` at the beginning or end of a word matches any letters. allow:
    phrases in which words of the list are ignored.
    """

    add: tuple[Name, ...] = ()
    allow: tuple[Name, ...] = Field(default=(), max_length=1000)


@dataclass(frozen=True)
class Category:
    """Words of one category.

    lists: groups of word lists; a prompt matches where it has a word of every list of a group. unless: phrases to
    ignore. locked: a policy cannot allow exceptions. starts: of the phrases of `lists`, see `PhraseStarts`.
    """

    name: str
    lists: tuple[tuple[re.Pattern[str], ...], ...]
    unless: re.Pattern[str] | None
    locked: bool
    starts: tuple[tuple[str, ...], ...]

    def matches(self, text: str, allowed: re.Pattern[str] | None) -> bool:
        """Return whether a normalised text has words of this category outside the phrases to ignore."""
        for ignored in (self.unless, None if self.locked else allowed):
            text = text if ignored is None else ignored.sub(" | ", text)
        return any(all(words.search(text) for words in needed) for needed in self.lists)


def compile_phrases(phrases: Sequence[str]) -> re.Pattern[str]:
    """Return a pattern that finds any of these phrases, as whole words, in a normalised text."""
    inside: list[str] = []
    whole: list[str] = []
    for phrase in phrases:
        pattern, spaced = _phrase_pattern(phrase)
        (whole if spaced else inside).append(pattern)
    # One test of the word boundary for all phrases skips most of the text at once.
    words = [rf"(?<!\w)(?:{'|'.join(whole)})(?!\w)"] if whole else []
    return re.compile("|".join([*words, *inside]))


def starts_of(phrases: Sequence[str]) -> str:
    """Return a pattern of all that the first word of any of these phrases can be where spaces may be missing."""
    found: dict[str, None] = {}
    for words in map(_normalised, phrases):
        if not _NO_SPACES.search(words):
            found |= dict.fromkeys(accumulate(map(_word_pattern, words.split(" "))))
    return "|".join(found) or NEVER


def _phrase_pattern(phrase: str) -> tuple[str, bool]:
    """Return the pattern of a phrase, and whether its script puts spaces between words."""
    text = _normalised(phrase)
    if _NO_SPACES.search(text):
        return re.escape(text.replace("*", "")).replace(r"\ ", " "), False
    return pattern_of(" ").join(map(_word_pattern, text.split(" "))), True


def _normalised(phrase: str) -> str:
    """Return the folded words of a phrase of a list, with its wildcards. Raises LimnerError for no words."""
    parts = [part if part == "{age}" else plain(part) for part in re.split(r"(\{age\}|\*)", phrase)]
    if not any(re.search(r"\w", part) for part in parts if part != "{age}"):
        raise LimnerError(f"{phrase!r} is not a word", "use letters and digits, and * for any letters")
    text = re.sub(r"\s+", " ", re.sub(r"[^\w*{}]|_", " ", fold(phrase))).strip()
    if re.search(r"[^\s*]\*+[^\s*]|\*\*", text):  # a search with it could be slow
        raise LimnerError(f"{phrase!r} has * inside a word", "put it at the beginning or end of the word")
    return text


def _word_pattern(word: str) -> str:
    parts = {"{age}": _AGE, "*": r"\w*"}
    return "".join(parts.get(part) or pattern_of(part) for part in re.split(r"(\{age\}|\*)", word))


@cache
def shipped_categories() -> tuple[Category, ...]:
    """Return the categories of the list that comes with Limner."""
    content = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    return tuple(_category(name, **fields) for name, fields in content.items())


def _category(
    name: str,
    phrases: list[str],
    together: list[list[str]] | None = None,
    unless: list[str] | None = None,
    locked: bool = False,
) -> Category:
    lists = [[phrases], *([together] if together else [])]
    return make_category(name, lists, unless or (), locked)


def make_category(
    name: str, lists: Sequence[Sequence[Sequence[str]]], unless: Sequence[str] = (), locked: bool = False
) -> Category:
    """Return the category of groups of lists of phrases."""
    patterns = tuple(tuple(map(compile_phrases, group)) for group in lists)
    starts = tuple(tuple(map(starts_of, group)) for group in lists)
    return Category(name, patterns, compile_phrases(unless) if unless else None, locked, starts)


class WordList:
    Options = WordsOptions
    texts, pictures = True, False

    def ready(self, options: Any) -> JudgeFunction:
        allowed = compile_phrases(options.allow) if options.allow else None
        own = (make_category(ADDED, [[options.add]], locked=True),) if options.add else ()
        categories = (*shipped_categories(), *own)
        for phrase in options.allow:
            for category in categories:
                if category.locked and any(category.matches(text, None) for text in variants(phrase)):
                    raise LimnerError(f"{phrase!r} cannot be allowed: {category.name}", "remove it")

        starts = PhraseStarts([group for category in categories for group in category.starts])

        def judge(text: str) -> Finding:
            with _LOCK:
                base = unweighted(text)
                if not starts.may_be_in(base):
                    return Finding(None)
                texts = variants_of(base)
                found = (category.name for category in categories if any(category.matches(t, allowed) for t in texts))
                return Finding(next(found, None))

        return judge


plugin = WordList()
