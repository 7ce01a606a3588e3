"""English put together by machine: one line of it, its articles, and its punctuation where something was left out."""

from __future__ import annotations

import re
import unicodedata

_JOINERS = "\u200c\u200d"
"""Neither shown nor to be lost: they shape Persian and Indic letters, and join emoji."""
_SILENT_H = ("heir", "honest", "honour", "honor", "hour")
_NO_VOWEL = ("eu", "once", "one", "uni", "use", "usu", "uti", "ufo", "ubiq")
"""Beginnings that are written with a vowel and spoken with a consonant; `_BUT` are those that are not."""
_BUT = ("unid", "unim", "unin", "oneir")


def clean_line(text: str) -> str:
    """A text on one line: composed (NFC), its white space made single, without control characters."""
    shown = "".join(char if char.isprintable() or char in _JOINERS else " " for char in text)
    return " ".join(unicodedata.normalize("NFC", shown).split())


def article(phrase: str) -> str:
    """ "a" or "an", as the beginning of a phrase sounds."""
    word = phrase.lower()
    if word.startswith(_SILENT_H):
        return "an"
    if word.startswith(_NO_VOWEL) and not word.startswith(_BUT):
        return "a"
    return "an" if word[:1] in tuple("aeiou") else "a"


def fix_punctuation(text: str) -> str:
    """A text with single spaces, none before punctuation, one comma where there are several, and none at its ends."""
    text = re.sub(r" (?=[,.;:!?](?:\s|[,.;:!?]|$))", "", " ".join(text.split()))
    text = re.sub(r"[,;:][,;:\s]*", _last, text)
    return text.lstrip(",;:.!? ").rstrip(",;: ")


def _last(found: re.Match[str]) -> str:
    """What stays of commas and the like: those from the last one on that a word may follow, or none before a stop."""
    run, after = found[0], found.string[found.end() : found.end() + 2]
    if after[:1] in tuple(".!?") and not after[1:].strip():
        return ""
    for place in range(len(run) - 1, 0, -1):
        if run[place] in ",;:" and not (run[place + 1 : place + 2] or after[:1]).strip():
            return run[place:]
    return run
