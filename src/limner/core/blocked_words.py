"""Normalises text so that a blocked word cannot be disguised: case, accents, look-alike letters, spacing, digits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_CYRILLIC = dict(zip("авгеёкмнопрстухіїјѕԁԛԝһ", "abreekmhonpctyxiijsdqwh", strict=True))
_GREEK = dict(zip("αβγεηικμνορςτυχω", "abyenikuvopstuxw", strict=True))
_SMALL = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢıɑɡɩłøđħ", "abcdefghijklmnoprstuvwyziagilodh", strict=True))
_SIGNS = {
    chr(first + number): letter
    for first in (0x1F150, 0x1F170, 0x1F1E6)  # letters in black circles and squares, and regional indicators
    for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz")
}
_LOOK_ALIKE = str.maketrans(_CYRILLIC | _GREEK | _SMALL | _SIGNS)
_BLANKS = re.compile("[\u115f\u1160\u3164\uffa0\u2800]")
"""Letters and signs without a visible shape."""
_INVISIBLE = ("Mn", "Me", "Cf", "Cc")
_CONTROLS = {code: None for code in (*range(32), 127) if not chr(code).isspace()}
_FIGURES = dict(zip("0345789@$€+", "oeastbgaset", strict=True))
_LEET = [str.maketrans(_FIGURES | dict.fromkeys("1!|", letter)) for letter in "il"]
_ENDS = "!?.,;:"
_DIGITS = str.maketrans("", "", "0123456789")
_WEIGHT = re.compile(r":\s*[\d.]+\s*(?=[)\]])")
_MANY = re.compile(r"(.)\1{2,}")
_SPELT = re.compile(r"(?<!\S)\w(?: \w){2,}(?!\S)")


def fold(text: str) -> str:
    """The text in lower case and compatibility form (NFKC), without accents, invisible characters and look-alikes of
    Latin letters.
    """
    if text.isascii():
        return text.lower().translate(_CONTROLS)
    text = unicodedata.normalize("NFKC", text).translate(_LOOK_ALIKE)  # black squares have no lower case
    parts = unicodedata.normalize("NFD", _BLANKS.sub("", text).casefold())
    kept = "".join(sign for sign in parts if sign.isspace() or unicodedata.category(sign) not in _INVISIBLE)
    return unicodedata.normalize("NFKC", kept).translate(_LOOK_ALIKE)


def plain(text: str) -> str:
    """The folded words of a text, letters and digits only, with single spaces between them."""
    return " ".join(re.sub(r"[\W_]+", " ", fold(text)).split())


def variants(text: str) -> tuple[str, ...]:
    """The texts that this one may stand for, each as `plain` writes it, the most literal first.

    They undo, one or two at a time: digits for letters (h3llo), signs inside words (he-llo), spaced letters
    (h e l l o), repeated letters (hellooo), digits at the end (hello2) and prompt weights.
    """
    base = _WEIGHT.sub(" ", fold(text))
    found: dict[str, None] = {}
    for form in dict.fromkeys(
        (base, *(_replace_figures(base, table) for table in _LEET), _replace_figures(base, _DIGITS))
    ):
        apart = re.sub(r"[\W_]", " ", form)
        joined = re.sub(r"[^\w\s]+|_+", "", form)
        for read in dict.fromkeys(" ".join(each.split()) for each in (apart, joined, *_join_spelt(apart))):
            if read not in found:
                found |= dict.fromkeys((read, _MANY.sub(r"\1", read), _MANY.sub(r"\1\1", read)))
    return tuple(found)


def _replace_figures(text: str, table: Mapping[int, str | int | None]) -> str:
    """The text with digits and signs replaced in words that hold letters too."""
    if not any(sign in text for sign in (*_ENDS, *map(chr, table))):
        return text

    def replace(found: re.Match[str]) -> str:
        word = found[0].rstrip(_ENDS)
        return word.translate(table) if re.search(r"[^\W\d_]", word) else found[0]

    return re.sub(r"\S+", replace, text)


def _join_spelt(text: str) -> list[str]:
    """The text with words that are spelt letter by letter joined; also without a word "a" or "i" before them."""
    whole = _SPELT.sub(lambda found: found[0].replace(" ", ""), text)
    after = _SPELT.sub(lambda found: re.sub(r"^[ai] ", "", found[0]).replace(" ", ""), text)
    return [whole, after] if whole != text else []
