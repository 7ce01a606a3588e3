"""Text on one line: cleaned, shortened, punctuated, with the right English article."""

from __future__ import annotations

import re
import unicodedata

_JOINERS = "\u200c\u200d"
"""Invisible, but part of the text: they shape Persian and Indic letters, and join emoji."""
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


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters of a text, with "…" in place of the rest."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


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
