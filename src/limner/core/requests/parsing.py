"""Parses values of requests from text, and writes them as text, in one pass over any input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_LONGEST_NUMBER = 64
"""Most characters of a number."""


def parse_number(text: str) -> float | None:
    """The number in a text, with sign and exponent, also nan and inf; None for any other text."""
    if len(text) > _LONGEST_NUMBER:
        return None
    plain = all(char.isdecimal() or char in "+-.eE" for char in text)
    if not plain and text.lstrip("+-").casefold() not in ("nan", "inf"):
        return None
    try:
        return float(text)
    except ValueError:
        return None


def parse_decimal(text: str) -> float | None:
    """The number in a text of digits with at most one point; None for any other text."""
    plain = len(text) <= _LONGEST_NUMBER and text.replace(".", "", 1).isdecimal()
    return float(text) if plain else None


def split_parts(text: str, sign: str, most: int = -1) -> list[str]:
    """The parts of a text between signs; a doubled sign stands for one inside a part.

    most: most parts; the last one then holds all the rest.
    """
    marked = text.replace("\0", "").replace(sign * 2, "\0")
    return [part.replace("\0", sign) for part in marked.split(sign, most - 1 if most > 0 else -1)]


def join_parts(parts: Iterable[str], sign: str) -> str:
    """The parts with signs between them, and signs inside them doubled: the inverse of `split_parts`."""
    return sign.join(part.replace(sign, sign * 2) for part in parts)


def split_weight(text: str) -> tuple[str, float]:
    """A path and the weight after its last colon; the whole text and 1 if no number stands there."""
    path, colon, tail = text.rpartition(":")
    weight = parse_number(tail) if colon else None
    return (text, 1.0) if weight is None else (path, weight)


def join_weight(path: str, weight: float) -> str:
    """A path with its weight, which is left out if it is 1: the inverse of `split_weight`."""
    if weight == 1 and split_weight(path) == (path, 1.0):
        return path
    return f"{path}:{repr(weight).removesuffix('.0')}"


def find_repeated(texts: Iterable[str]) -> str | None:
    """The first text that occurs a second time; None if each occurs once."""
    seen: set[str] = set()
    for text in texts:
        if text in seen:
            return text
        seen.add(text)
    return None


def check_prompts(prompts: Sequence[str]) -> None:
    """Raise ValueError if a prompt of several is empty or occurs twice."""
    if not all(prompt.strip() for prompt in prompts):
        raise ValueError("a prompt is empty; say what to generate")
    if twice := find_repeated(prompts):
        raise ValueError(f"{twice[:80]!r} is given twice; ask for more images of it by --count")
