"""Text in figures: a font with the letters of a text, and fitting text into a width."""

from __future__ import annotations

import re
import textwrap
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
WIDER = 0.88
"""Scale of all fonts but the first, so that they look equally large."""
NOTHING = "\U0010ffff"
"""Not a character: fonts draw it in the same way as all characters that they lack."""
MAX_FONTS, LONGEST = 200, 400
"""The most fonts of the machine that are tried, and the most characters of a text in a figure."""
FULL = r"(?i)cjk|unicode|pingfang|hiragino|gothic|msyh|malgun"
"""Names of fonts with Chinese, Japanese and Korean letters, which the first two fonts lack."""


def font_for(text: str, size: int) -> tuple[Font, str]:
    """A font that has the letters of a text, and the text to draw with it.

    A run of letters that no font of this machine has is replaced by one "?".
    """
    text = re.sub(r"[\u200b-\u200f\ufe0f]", "", text[:LONGEST])  # these only change how their neighbours look
    best, lacked = _font(None, size), None
    for place in _places():
        font = _opened(place, size)
        if font is None:
            continue
        lacks = {letter for letter in set(text) if not _has(font, letter)}
        if not lacks:
            return font, text
        if lacked is None or len(lacks) < len(lacked):
            best, lacked = font, lacks
    return best, re.sub(f"[{re.escape(''.join(sorted(lacked or ())))}]+", "?", text) if lacked else text


def truncate(text: str, font: Font, width: float) -> str:
    """The text, shortened if it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def wrap_words(text: str, font: Font, width: float) -> list[str]:
    """The text in lines of at most `width` pixels, broken between words; a word that is wider is shortened."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(truncate(word, font, width))
    return lines


def wrap(text: str, font: Font, width: float, lines: int) -> str:
    """The text in at most `lines` lines of at most `width` pixels, shortened if it does not fit."""
    for columns in range(24, 3, -1):
        found = textwrap.wrap(text, columns, max_lines=lines, placeholder=" …")
        if all(font.getlength(line) <= width for line in found):
            return "\n".join(found)
    return truncate(text, font, width)


def _places() -> chain[str | None]:
    """Paths of Pillow's font (None), of matplotlib's, which has Greek, Cyrillic and Arabic, then of the machine's."""
    return chain([None], (place for found in (_of_matplotlib, _of_machine) for place in found()))


@cache
def _of_matplotlib() -> tuple[str, ...]:
    from matplotlib import get_data_path

    return (str(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf"),)


@cache
def _of_machine() -> tuple[str, ...]:
    """Paths of upright fonts, those with most letters first."""
    from matplotlib.font_manager import findSystemFonts

    slanted = re.compile(r"(?i)bold|italic|oblique|light|thin|black|mono|dejavu")
    found = sorted(place for place in findSystemFonts() if not slanted.search(Path(place).stem))
    return tuple(
        sorted(found, key=lambda place: (not re.search(FULL, place), not re.search("(?i)noto", place)))[:MAX_FONTS]
    )


def _opened(place: str | None, size: int) -> Font | None:
    try:
        return _font(place, size)
    except OSError:  # a bitmap font of one size, or damaged
        return None


@cache
def _font(place: str | None, size: int) -> Font:
    return ImageFont.load_default(size) if place is None else ImageFont.truetype(place, round(WIDER * size))


@lru_cache(20_000)
def _has(font: Any, letter: str) -> bool:
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(NOTHING))
