"""Texts that make careless parsers slow, a limit on the processor time of a call, and hostile .safetensors files."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import FrameType
from typing import Any

LENGTH = 100_000
SECONDS = 1.0
"""Processor seconds that a call may take: what is linear takes milliseconds, what grows with the square minutes."""
ATTACKS = 20
"""Texts against one pattern at most."""
PIECES = (" ", "9", ",", ".", "a", ": ", "a ", "\n", "+", "@", "=", ":", "(", "-", "/", "{", "[", "{}", "9.", "a:9,")
SAMPLES = "a9 .-_+,:;/'\"=(\n"
"""Characters that stand for a class of them."""


def texts(*ends: str) -> list[str]:
    """Long texts of one piece again and again, with each of these ends."""
    return [piece * (LENGTH // len(piece)) + end for piece in PIECES for end in ends]


BODIES: dict[str, dict[str, Any]] = {
    "generate": {"prompt": "a"},
    "train": {"data": "a", "class_word": "dog"},
    "sweep": {"prompt": ["a"], "axis": ["steps=1,2"]},
    "compare": {"contestants": ["a", "b"], "prompt": ["a"]},
    "influence": {"adapter": "a"},
    "improve": {"target": "a"},
    "evaluate": {"target": "a"},
    "prepare": {"sources": ["a"]},
}
"""The least that each kind of request says."""


def tensor_file(header: object, data: bytes = b"") -> bytes:
    """A .safetensors file. header: as bytes, or as what JSON can hold."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(shape: list[int], first: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    """The entry of a tensor in the header of a .safetensors file."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, end]}


TENSOR_FILES = {
    "empty": b"",
    "short": b"\0" * 7,
    "header too large": (2**60).to_bytes(8, "little") + b"{}",
    "header beyond the file": (1000).to_bytes(8, "little") + b"{}",
    "header no JSON": tensor_file(b"{a text with SECRET words}"),
    "header a list": tensor_file([]),
    "header not UTF-8": tensor_file(b"\xff\xfe\xff\xfe"),
    "header nested": tensor_file(b'{"a":' * 10_000),
    "offsets beyond the file": tensor_file({"a": tensor([4], 0, 16)}, b"\0" * 8),
    "overlap": tensor_file({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, b"\0" * 12),
    "gap": tensor_file({"a": tensor([1], 0, 4), "b": tensor([1], 8, 12)}, b"\0" * 12),
    "more bytes": tensor_file({"a": tensor([1], 0, 4)}, b"\0" * 8),
    "unknown type": tensor_file({"a": tensor([1], 0, 4, "F99")}, b"\0" * 4),
    "negative": tensor_file({"a": tensor([-1], 0, 4)}, b"\0" * 4),
    "overflow": tensor_file({"a": tensor([2**62, 2**62], 0, 4)}, b"\0" * 4),
}
"""Damaged and hostile .safetensors files."""
OF_LIBRARY = ("deserial", "rust", "line 1", "column", "expected", "invalid", "incomplete metadata", "Error", "SECRET")
"""What only errors of the library say."""


class TooSlow(Exception):
    """The call took more than its time."""


def within(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call returns; raises TooSlow in the midst of it where it takes more processor time than that."""

    def end(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        return call(*arguments)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def attacks(pattern: re.Pattern[Any], length: int = LENGTH) -> list[str]:
    """Texts against one pattern: for each repetition in it, what comes before, then what it repeats, many times."""
    found: dict[str, None] = {}
    for before, bodies in _repetitions(parser.parse(pattern.pattern, pattern.flags), [""]):
        for body in filter(None, bodies[:8]):
            found[f"{before}{body * (length // len(body))}\x01"] = None
            found[before + body] = None
    whole = [text if len(text) >= length else text * (length // len(text)) + "\x01" for text in found]
    return whole[:: 1 + len(whole) // ATTACKS]


def _repetitions(tree: Any, before: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each repetition without a small limit: a text that leads to it, and texts that it repeats."""
    for code, value in tree:
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            _, most, inner = value
            bodies = _samples(inner)
            if most > 1000:
                for lead in before[:2]:
                    yield lead, bodies
            yield from _repetitions(inner, before)
        for part in _inside(code, value):
            yield from _repetitions(part, before)
        own = _samples([(code, value)])
        before = [lead + sample for lead in before[:2] for sample in own[:2]] or before


def _inside(code: Any, value: Any) -> list[Any]:
    if code is codes.SUBPATTERN:
        return [value[3]]
    if code is codes.BRANCH:
        return list(value[1])
    if code in (codes.ASSERT, codes.ASSERT_NOT):
        return [value[1]]
    return [value] if code is codes.ATOMIC_GROUP else []


def _samples(tree: Any) -> list[str]:
    """Some short texts that a part of a pattern fits."""
    found = [""]
    for code, value in tree:
        found = [text + end for text in found[:4] for end in _of(code, value)][:24]
    return found


def _of(code: Any, value: Any) -> list[str]:
    if code is codes.LITERAL:
        return [chr(value)]
    if code is codes.NOT_LITERAL:
        return [char for char in SAMPLES if ord(char) != value]
    if code is codes.ANY:
        return list(SAMPLES)
    if code is codes.IN:
        return _in(value)
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        least, _, inner = value
        return [sample * max(1, least) for sample in _samples(inner)] + ([""] if least == 0 else [])
    if code is codes.BRANCH:
        return [sample for branch in value[1] for sample in _samples(branch)[:4]]
    if code is codes.SUBPATTERN:
        return _samples(value[3])
    return _samples(value) if code is codes.ATOMIC_GROUP else [""]


def _in(items: Any) -> list[str]:
    text = "".join(map(chr, range(32, 127))) + "\n"
    kinds = {
        codes.CATEGORY_DIGIT: r"\d", codes.CATEGORY_NOT_DIGIT: r"\D", codes.CATEGORY_SPACE: r"\s",
        codes.CATEGORY_NOT_SPACE: r"\S", codes.CATEGORY_WORD: r"\w", codes.CATEGORY_NOT_WORD: r"\W",
    }  # fmt: skip
    fits: set[str] = set()
    negated = False
    for code, value in items:
        if code is codes.NEGATE:
            negated = True
        elif code is codes.LITERAL:
            fits.add(chr(value))
        elif code is codes.RANGE:
            fits.update(map(chr, range(value[0], min(value[1], value[0] + 60) + 1)))
        elif code is codes.CATEGORY:
            fits.update(re.findall(kinds[value], text))
    chosen = set(text) - fits if negated else fits
    return [char for char in SAMPLES if char in chosen] or sorted(chosen)[:3]
