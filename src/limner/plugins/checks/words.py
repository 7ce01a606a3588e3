"""A list of words and phrases, which sees through the usual disguises; it stops the careless, not the determined."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import yaml
from pydantic import Field

from limner.core.errors import LimnerError
from limner.core.moderation import Finding, JudgeFunction
from limner.core.normalise import fold, plain, variants
from limner.core.requests import Frozen, Name

LIST = Path(__file__).with_name("words.yaml")
ADDED = "words that this service does not paint"
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_AGE = rf"(?:[1-9]|1[0-7]|{'|'.join(f'one two three four five six seven eight nine {_TEENS}'.split())})"
_ONE_AT_A_TIME = Lock()
"""Judging keeps the interpreter busy: several threads would gain nothing and slow down the service's event loop."""
_NO_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff]")
"""Scripts that put no spaces between words."""


class Options(Frozen):
    """add: words and phrases that are refused besides; `*` before or behind a word stands for any letters. allow:
    phrases in which the words of the shipped list are looked past.
    """

    add: tuple[Name, ...] = ()
    allow: tuple[Name, ...] = Field(default=(), max_length=1000)


@dataclass(frozen=True)
class Category:
    """Words of one kind. lists: the prompt must hold words of every one of them, in any of these sets of lists."""

    name: str
    lists: tuple[tuple[re.Pattern[str], ...], ...]
    unless: re.Pattern[str] | None
    locked: bool

    def in_reading(self, text: str, allowed: re.Pattern[str] | None) -> bool:
        """Whether a reading holds words of this kind, but for what is looked past."""
        for past in (self.unless, None if self.locked else allowed):
            text = text if past is None else past.sub(" | ", text)
        return any(all(words.search(text) for words in needed) for needed in self.lists)


def of_phrases(phrases: list[str] | tuple[str, ...]) -> re.Pattern[str]:
    """What finds any of these phrases in a reading, as whole words."""
    inside: list[str] = []
    whole: list[str] = []
    for phrase in phrases:
        pattern, spaced = _phrase(phrase)
        (whole if spaced else inside).append(pattern)
    # The word boundary is tested once and not for each phrase, so that most of the text is passed over at once.
    words = [rf"(?<!\w)(?:{'|'.join(whole)})(?!\w)"] if whole else []
    return re.compile("|".join([*words, *inside]))


def _phrase(phrase: str) -> tuple[str, bool]:
    """What finds a phrase, and whether its script puts spaces between words."""
    parts = [part if part == "{age}" else plain(part) for part in re.split(r"(\{age\}|\*)", phrase)]
    if not any(re.search(r"\w", part) for part in parts if part != "{age}"):
        raise LimnerError(f"{phrase!r} is no word", "write words of letters and digits, and * for any letters")
    text = re.sub(r"\s+", " ", re.sub(r"[^\w*{}]|_", " ", fold(phrase))).strip()
    if re.search(r"[^\s*]\*+[^\s*]|\*\*", text):  # so that no text makes the search slow
        raise LimnerError(f"{phrase!r} has * inside a word", "write it before or behind a word")
    if _NO_SPACES.search(text):
        return re.escape(text.replace("*", "")).replace(r"\ ", " "), False
    return re.escape(text).replace(r"\{age\}", _AGE).replace(r"\*", r"\w*").replace(r"\ ", " "), True


@cache
def shipped() -> tuple[Category, ...]:
    """The categories of the list that comes with Limner."""
    return tuple(_category(name, **told) for name, told in yaml.safe_load(LIST.read_text(encoding="utf-8")).items())


def _category(
    name: str,
    phrases: list[str],
    together: list[list[str]] | None = None,
    unless: list[str] | None = None,
    locked: bool = False,
) -> Category:
    lists: list[tuple[re.Pattern[str], ...]] = [(of_phrases(phrases),)]
    lists += [tuple(map(of_phrases, together))] if together else []
    return Category(name, tuple(lists), of_phrases(unless) if unless else None, locked)


class Words:
    Options = Options
    texts, pictures = True, False

    def ready(self, options: Any) -> JudgeFunction:
        allowed = of_phrases(options.allow) if options.allow else None
        own = (Category(ADDED, ((of_phrases(options.add),),), None, locked=True),) if options.add else ()
        categories = (*shipped(), *own)
        for phrase in options.allow:
            for category in categories:
                if category.locked and any(category.in_reading(text, None) for text in variants(phrase)):
                    raise LimnerError(f"{phrase!r} cannot be allowed: {category.name}", "leave it out")

        def judge(text: str) -> Finding:
            with _ONE_AT_A_TIME:
                read = variants(text)
                found = (kind.name for kind in categories if any(kind.in_reading(each, allowed) for each in read))
                return Finding(next(found, None))

        return judge


plugin = Words()
