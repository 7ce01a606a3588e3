"""Check `words`: a list of words and phrases, matched in spite of common disguises.

It stops careless users, not determined ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import yaml
from pydantic import Field

from limner.core.blocked_words import fold, pattern_of, plain, variants
from limner.core.errors import LimnerError
from limner.core.moderation import Finding, JudgeFunction
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
    ignore. locked: a policy cannot allow exceptions.
    """

    name: str
    lists: tuple[tuple[re.Pattern[str], ...], ...]
    unless: re.Pattern[str] | None
    locked: bool

    def matches(self, text: str, allowed: re.Pattern[str] | None) -> bool:
        """Return whether a normalised text has words of this category outside the phrases to ignore."""
        for ignored in (self.unless, None if self.locked else allowed):
            text = text if ignored is None else ignored.sub(" | ", text)
        return any(all(words.search(text) for words in needed) for needed in self.lists)


def compile_phrases(phrases: list[str] | tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern that finds any of these phrases, as whole words, in a normalised text."""
    inside: list[str] = []
    whole: list[str] = []
    for phrase in phrases:
        pattern, spaced = _phrase_pattern(phrase)
        (whole if spaced else inside).append(pattern)
    # One test of the word boundary for all phrases skips most of the text at once.
    words = [rf"(?<!\w)(?:{'|'.join(whole)})(?!\w)"] if whole else []
    return re.compile("|".join([*words, *inside]))


def _phrase_pattern(phrase: str) -> tuple[str, bool]:
    """Return the pattern of a phrase, and whether its script puts spaces between words."""
    parts = [part if part == "{age}" else plain(part) for part in re.split(r"(\{age\}|\*)", phrase)]
    if not any(re.search(r"\w", part) for part in parts if part != "{age}"):
        raise LimnerError(f"{phrase!r} is not a word", "use letters and digits, and * for any letters")
    text = re.sub(r"\s+", " ", re.sub(r"[^\w*{}]|_", " ", fold(phrase))).strip()
    if re.search(r"[^\s*]\*+[^\s*]|\*\*", text):  # a search with it could be slow
        raise LimnerError(f"{phrase!r} has * inside a word", "put it at the beginning or end of the word")
    if _NO_SPACES.search(text):
        return re.escape(text.replace("*", "")).replace(r"\ ", " "), False
    parts = {"{age}": _AGE, "*": r"\w*"}
    return "".join(parts.get(part) or pattern_of(part) for part in re.split(r"(\{age\}|\*)", text)), True


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
    lists: list[tuple[re.Pattern[str], ...]] = [(compile_phrases(phrases),)]
    lists += [tuple(map(compile_phrases, together))] if together else []
    return Category(name, tuple(lists), compile_phrases(unless) if unless else None, locked)


class WordList:
    Options = WordsOptions
    texts, pictures = True, False

    def ready(self, options: Any) -> JudgeFunction:
        allowed = compile_phrases(options.allow) if options.allow else None
        own = (Category(ADDED, ((compile_phrases(options.add),),), None, locked=True),) if options.add else ()
        categories = (*shipped_categories(), *own)
        for phrase in options.allow:
            for category in categories:
                if category.locked and any(category.matches(text, None) for text in variants(phrase)):
                    raise LimnerError(f"{phrase!r} cannot be allowed: {category.name}", "remove it")

        def judge(text: str) -> Finding:
            with _LOCK:
                texts = variants(text)
                found = (category.name for category in categories if any(category.matches(t, allowed) for t in texts))
                return Finding(next(found, None))

        return judge


plugin = WordList()
