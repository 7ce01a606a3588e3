"""How a prompt is cut: into zones, such as its negative prompt, and into segments, at commas and ends of sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

IGNORED = "ignored"
"""Part of zones that say nothing of the image: settings of the sampler, flags such as "--ar 4:5"."""

LABELS = {
    "subject": "subject|main subject|character|main character|object",
    "medium": "medium|type|format|technique",
    "style": "style|art style|mood|aesthetic|atmosphere|vibe|genre",
    "lighting": "light|lighting|lights|illumination",
    "composition": "camera|composition|framing|shot|angle|view|lens|perspective|camera angle|shot type",
    "setting": "background|setting|environment|location|scene|place|time|backdrop|weather",
    "colour": "colou?rs?|palette|colou?r palette|colou?r scheme",
    "quality": "quality|details?|resolution",
    "artist": "artists?",
    "negative": "negative|negative prompt|neg|neg prompt|negatives|exclude|avoid|do not include|don't include",
    "": "prompt|positive prompt|positive|description|/?imagine prompt|/?imagine",
}
"""Labels of lines, as in "Lighting: pale dawn glow"; those of "" begin an ordinary prompt."""
_PART_OF_LABEL = {f"label{number}": part for number, part in enumerate(LABELS)}
_MARK = re.compile(
    r"(?:^|[\n,{;|.\])])[\s\"'*#\[(-]{0,8}(?:"
    + "|".join(f"(?P<label{number}>{names})" for number, names in enumerate(LABELS.values()))
    + r")[\"'*]{0,3}\s{0,3}:(?!\d)[\"'*]{0,3}"
    r"|\n\s{0,8}(?P<sampler>steps:\s?\d)"
    r"|(?<!\S)--(?P<no>no|neg)(?![^\s=])"
    r"|(?<!\S)--(?P<flag>[a-z]\w{0,15})(?!\w)"
    r"|(?P<line>\n)",
    re.IGNORECASE,
)
"""What ends a zone and begins another one."""

_BREAK = re.compile(
    r"(?P<quoted>(?<=\w )[\"“][^\"”\n]{1,120}[\"”])"
    r"|(?P<sentence>[\n\r!?…。\uff01\uff1f]|(?<!\b[A-Z])(?<!\b(?:St|Mr|Dr|Mt))\.(?![^\s\"'”\u2019)\]]))"
    r"|[,;|•·\uff0c、\uff1b\t—\u2013→]"
    r"|<[^<>\n]{1,200}>"
    r"|::-?[\d.]{0,8}"
    r"|:-?\d{0,3}\.?\d{1,4}[)\]}]+"
    r"|(?<=\s)[(\[{](?=[^()\[\]{}:\n]{1,80}:-?[\d.]{1,8}[)\]}])"
    r"|:(?![\d\s:-]|$)|:(?=\s)"
    r"|(?<=\s)[-+/](?=\s)|(?<!\S)#(?=\w)"
    r"|(?<=[)\]}])\s?(?=[(\[{])"
    r"|(?<!\S)(?:BREAK|AND|ADDCOMM|ADDROW|ADDCOL)(?!\S)"
)
"""What separates segments; a quoted text after a word does not, nor what stands in it."""
_EDGE = frozenset("[](){}<>\"'“”\u2018\u2019«»`*_~-+=.,:;#@&^\\/|!?\u200b\ufeff")
WEIGHT = re.compile(r":-?\d{0,3}\.?\d{1,4}")
WEIGHT_LENGTH = 8
"""Characters of the longest weight, such as ":1.2"."""


@dataclass(frozen=True)
class Segment:
    """Characters of a prompt from `start` to before `end`. begins: whether a sentence begins with it."""

    start: int
    end: int
    begins: bool


def zones(prompt: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and part of each zone of a prompt. The part is "" where the words decide."""
    start, part = 0, ""
    for mark in _MARK.finditer(prompt):
        kind = mark.lastgroup or ""
        if kind == "line" and part in ("", "negative"):
            continue
        yield start, mark.start(), part
        start = mark.end()
        if kind == "sampler":
            return
        part = {"no": "negative", "flag": IGNORED}.get(kind, _PART_OF_LABEL.get(kind, ""))
    yield start, len(prompt), part


def segments(prompt: str, start: int, end: int) -> Iterator[Segment]:
    """The segments of a zone, without the brackets and weights around them."""
    begins = True
    place = start
    for found in _BREAK.finditer(prompt, start, end):
        if found.lastgroup == "quoted":
            continue
        if span := trimmed(prompt, place, found.start()):
            yield Segment(*span, begins)
            begins = False
        begins = begins or found.lastgroup == "sentence"
        place = found.end()
    if span := trimmed(prompt, place, end):
        yield Segment(*span, begins)


def trimmed(prompt: str, start: int, end: int) -> tuple[int, int] | None:
    """The span without white space, brackets and weights at its ends; None where nothing is left."""
    while start < end and _is_edge(prompt[start]):
        start += 1
    while True:
        while end > start and _is_edge(prompt[end - 1]):
            end -= 1
        colon = prompt.rfind(":", max(start, end - WEIGHT_LENGTH), end)
        if colon < 0 or not WEIGHT.fullmatch(prompt, colon, end):
            return (start, end) if start < end else None
        end = colon


def _is_edge(sign: str) -> bool:
    return sign in _EDGE or sign.isspace()
