"""A1111's prompt syntax: weights and parts of a prompt, adapters that it names, and what of it is read as text.

"(words:1.3)" gives what is inside a weight; other brackets are plain text, and so is "\\(".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from limner.core.errors import LimnerError
from limner.core.requests.parsing import parse_number
from limner.core.requests.uses import AdapterUse
from limner.core.text import shorten

_BREAK = re.compile(r"(?<!\w)BREAK(?!\w)")
_AND = re.compile(r"(?<!\w)AND(?!\w)")
_NETWORK = re.compile(r"<(lora|lyco|hypernet):([^<>:]{1,200})((?::[^<>:]{0,64}){0,8})>")
_SQUARE = re.compile(r"(?<!\\)\[([^\[\]]*)\]")
_DOUBLE = re.compile(r"(?<!\\)\(\(([^()]*)\)\)")
_BRACKET = re.compile(r"(?<!\\)[()]")
_WEIGHT = re.compile(r":\s*(\d{1,4}(?:\.\d{1,9})?|\.\d{1,9})\s*")
MAX_WEIGHT = 10.0
SHOWN = 60
"""Most characters of a prompt that a notice shows."""


def split_parts_of(text: str) -> list[str]:
    """The parts of a text between BREAKs, in capital letters as a word of its own."""
    return _BREAK.split(text)


def parse_weights(prompt: str) -> list[tuple[str, float]]:
    """Split a prompt into texts with their weights; weights of nested brackets are multiplied."""
    begins, ends = _weighted_brackets(prompt)
    pieces: list[tuple[str, float]] = []
    weights, start = [1.0], 0
    for place in sorted({*begins, *ends}):
        pieces.append((prompt[start:place], weights[-1]))
        if place in begins:
            weights.append(min(weights[-1] * begins[place], MAX_WEIGHT))
            start = place + 1
        else:
            weights.pop()
            start = ends[place]
    pieces.append((prompt[start:], weights[-1]))
    return [(re.sub(r"\\([()])", r"\1", text), weight) for text, weight in pieces if text]


def _weighted_brackets(prompt: str) -> tuple[dict[int, float], dict[int, int]]:
    """Return brackets that have a weight: where they open -> weight, and where their text ends -> where they close."""
    begins: dict[int, float] = {}
    ends: dict[int, int] = {}
    opened: list[int] = []
    for bracket in _BRACKET.finditer(prompt):
        place = bracket.start()
        if bracket.group() == "(":
            opened.append(place)
        elif opened:
            opening, colon = opened.pop(), prompt.rfind(":", 0, place)
            weight = _WEIGHT.fullmatch(prompt, colon, place) if colon > opening else None
            if weight is not None:
                begins[opening], ends[colon] = float(weight.group(1)), place + 1
    return begins, ends


def take_adapters(prompt: str) -> tuple[str, tuple[AdapterUse, ...]]:
    """A prompt without `<lora:NAME:WEIGHT>`, and the adapters that these name. Raises LimnerError for other weights."""
    uses: list[AdapterUse] = []

    def take(found: re.Match[str]) -> str:
        if found[1] == "hypernet":
            return found[0]
        weights = {parse_number(text) for text in found[3].split(":")[1:]} or {1.0}
        weight = weights.pop()
        if weights or weight is None:
            raise LimnerError(
                f"{shorten(found[0], SHOWN)!r} in the prompt does not have one weight",
                f"write it like <lora:{shorten(found[2], SHOWN)}:0.8>",
            )
        uses.append(AdapterUse(path=found[2], weight=weight))
        return " "

    text = _NETWORK.sub(take, prompt)
    return (" ".join(text.split()) if uses else prompt), tuple(uses)


def notices_of(prompt: str, weighted: bool) -> list[str]:
    """One line for each kind of A1111's syntax in a prompt that is read as text.

    weighted: whether the model supports BREAK and weights such as (words:1.2).
    """
    kinds: dict[str, str] = {}
    for shown, remedy in _read_as_text(prompt, weighted):
        kinds.setdefault(remedy, shown)
    return [f"{shorten(shown, SHOWN)!r} in the prompt is read as text: {remedy}" for remedy, shown in kinds.items()]


def _read_as_text(prompt: str, weighted: bool) -> Iterator[tuple[str, str]]:
    """Yield what is read as text, with the reason."""
    for found in _NETWORK.finditer(prompt):
        reason = "hypernetworks are not supported" if found[1] == "hypernet" else "name adapters in the field adapter"
        yield found[0], reason
    for found in _SQUARE.finditer(prompt):
        parts = found[1].split(":")
        if "|" in found[1]:
            yield found[0], "words that alternate between steps are not supported"
        elif len(parts) > 1 and parse_number(parts[-1].strip()) is not None:
            yield found[0], "words that change between steps are not supported"
        elif found[1].strip():
            yield found[0], "write (words:0.9) for less weight" if weighted else "this model supports no weights"
    for found in _DOUBLE.finditer(prompt):
        if parse_number(found[1].rpartition(":")[2].strip()) is None:
            yield found[0], "write (words:1.2) for more weight" if weighted else "this model supports no weights"
    for found in _AND.finditer(prompt):
        yield found[0], "prompts cannot be composed"
    for found in () if weighted else _BREAK.finditer(prompt):
        yield found[0], "this model does not read a prompt in parts"
