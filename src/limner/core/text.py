"""Text on one line: cleaned, shortened, punctuated, searched for whole words, with the right English article."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache

_JOINERS = "\u200c\u200d"
"""Invisible, but part of the text: they shape Persian and Indic letters, and join emoji."""
_LONG, _HEAD, _TAIL = 320, 50, 29
"""Characters of a name that is shortened, and those of its beginning and end that stay."""
_QUOTED = re.compile(r"""(?<![\w\\])(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")(?!\w)""")
_LONG_WORD = re.compile(rf"\S{{{_LONG + 1},}}")
_SILENT_H = ("heir", "honest", "honour", "honor", "hour")
_NO_VOWEL = ("eu", "once", "one", "uni", "use", "usu", "uti", "ufo", "ubiq")
"""Beginnings that are written with a vowel and spoken with a consonant; `_BUT` are the exceptions."""
_BUT = ("unid", "unim", "unin", "oneir")


def clean_line(text: str, limit: int | None = None) -> str:
    """The text on one line: composed (NFC), with single spaces and without control characters.

    limit: most characters; a longer text is cut, and ends in "…".
    """
    part = text if limit is None else text[: 4 * limit]
    visible = "".join(char if char.isprintable() or char in _JOINERS else " " for char in part)
    line = " ".join(unicodedata.normalize("NFC", visible).split())
    return line if limit is None else shorten(line, limit)


def printable(text: str) -> str:
    """The text as a terminal may show it: characters that are not printable, except line ends, written as in JSON.

    So a text of unknown origin cannot move the cursor, change the title or reverse what follows.
    """
    if text.isprintable():
        return text
    kept = _JOINERS + "\n"
    return "".join(char if char.isprintable() or char in kept else json.dumps(char)[1:-1] for char in text)


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters of a text, with "…" in place of the rest."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shorten_names(text: str) -> str:
    """The text with each quoted text, and each word, of more than 320 characters shortened to 80.

    A name of a stranger may have thousands of characters; its beginning and its end say enough. Paths stay whole: a
    worker replaces them by references.
    """
    return _LONG_WORD.sub(_shorten_middle, _QUOTED.sub(_shorten_middle, text)) if len(text) > _LONG else text


def _shorten_middle(found: re.Match[str]) -> str:
    name = found[0]
    return name if len(name) <= _LONG else f"{name[:_HEAD]}…{name[-_TAIL:]}"


@lru_cache(256)
def whole_words(*phrases: str) -> re.Pattern[str]:
    """A pattern that finds phrases as whole words, in any case and with any white space between their words.

    Group n is the n-th phrase, counted from 1; where several match, the first of them does. A letter, figure or
    underscore beside a phrase makes it part of another word, unless the phrase ends in a sign: "<rex>" is found in
    "<rex>es", and "rex" is not found in "rexes".
    """
    return re.compile("|".join(f"({_bounded(phrase.split())})" for phrase in phrases), re.IGNORECASE)


def _bounded(words: list[str]) -> str:
    if not words:
        return "(?!)"  # never found
    before = r"(?<!\w)" if re.match(r"\w", words[0]) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", words[-1]) else ""
    return before + r"\s+".join(map(re.escape, words)) + after


def counted(number: int, noun: str) -> str:
    """A number of things, such as "1 image" or "2,000 images", for nouns with a regular plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def first_sentence(text: str, limit: int = 160) -> str:
    """The first sentence or line of a text, such as a library's error; cut between two words if it is too long."""
    found = clean_line(re.split(r"\n|(?<=\w\w)[.;] ", text[: 4 * limit].strip(), maxsplit=1)[0]).rstrip(".;: ")
    return found if len(found) <= limit else found[:limit].rsplit(" ", 1)[0].rstrip(",.;: ") + " …"


def article(phrase: str) -> str:
    """ "a" or "an", by the sound at the beginning of the phrase."""
    word = phrase.lower()
    if word.startswith(_SILENT_H):
        return "an"
    if word.startswith(_NO_VOWEL) and not word.startswith(_BUT):
        return "a"
    return "an" if word[:1] in tuple("aeiou") else "a"


def fix_punctuation(text: str) -> str:
    """The text with single spaces, no space before punctuation, single commas, and no comma at its ends."""
    text = re.sub(r" (?=[,.;:!?](?:\s|[,.;:!?]|$))", "", " ".join(text.split()))
    text = re.sub(r"[,;:][,;:\s]*", _last_mark, text)
    return text.lstrip(",;:.!? ").rstrip(",;: ")


def _last_mark(found: re.Match[str]) -> str:
    """What replaces a run of commas and the like: from the last one that a word may follow; nothing before a stop."""
    run, after = found[0], found.string[found.end() : found.end() + 2]
    if after[:1] in tuple(".!?") and not after[1:].strip():
        return ""
    for place in range(len(run) - 1, 0, -1):
        if run[place] in ",;:" and not (run[place + 1 : place + 2] or after[:1]).strip():
            return run[place:]
    return run
