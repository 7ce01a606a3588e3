"""Caption templates: text with fields in braces, and optional parts in brackets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from limner.core.errors import LimnerError
from limner.core.text import article, clean_line, fix_punctuation

_TOKEN = re.compile(r"\{\{|\}\}|\[\[|[{}\[\]]|[^{}\[\]]+")
_FIELD = re.compile(r"\s*(?:(?P<article>an?)\s+)?(?P<name>\w[\w .-]{0,63}?)\s*\}")
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Field:
    """A placeholder for a value. article: whether "a" or "an" is put before it."""

    name: str
    article: bool = False


@dataclass(frozen=True, slots=True)
class Optional:
    """A part that is left out if one of its own fields is missing."""

    parts: tuple[Part, ...]


Part = str | Field | Optional


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template, such as "a photo of {a class}[, {a breed}][ in the {background}]".

    `{breed}` stands for a value, `{a breed}` for the value after "a" or "an". A part in brackets is left out if a field
    in it is missing or empty; nested brackets are parts of their own. `{{`, `}}`, `[[` and `]]` stand for single signs
    (in nested brackets, `]]` closes both).
    """

    parts: tuple[Part, ...]

    @classmethod
    def read(cls, text: str) -> Template:
        """Parse a template; raises LimnerError with the place of a mistake."""
        return cls(_parts(clean_line(text)))

    @property
    def needs(self) -> frozenset[str]:
        """Names of the fields outside of brackets."""
        return frozenset(part.name for part in self.parts if isinstance(part, Field))

    @property
    def names(self) -> frozenset[str]:
        """Names of all fields."""
        return frozenset(_names(self.parts))

    def fill(self, values: Mapping[str, str]) -> str:
        """The caption with these values, punctuated and on one line; a field outside brackets may be missing too."""
        known = {name: value for name in self.names if (value := clean_line(values.get(name, "")))}
        return fix_punctuation(_filled(self.parts, known))


def default_template(identifier: bool, class_word: bool) -> str | None:
    """The default template, given what is known of all images; None if that is nothing."""
    subject = {
        (True, True): "{identifier} {class}",
        (True, False): "{identifier}",
        (False, True): "{a class}",
        (False, False): None,
    }[identifier, class_word]
    return None if subject is None else f"a photo of {subject}[ in the {{background}}]"


def _names(parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Field):
            yield part.name
        elif isinstance(part, Optional):
            yield from _names(part.parts)


def _filled(parts: tuple[Part, ...], values: Mapping[str, str]) -> str:
    return "".join(_fill(part, values) for part in parts)


def _fill(part: Part, values: Mapping[str, str]) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Optional):
        missing = any(isinstance(own, Field) and own.name not in values for own in part.parts)
        return "" if missing else _filled(part.parts, values)
    value = values.get(part.name, "")
    return f"{article(value)} {value}" if part.article and value else value


def _parts(text: str) -> tuple[Part, ...]:
    """The parts of a template; open brackets are on a stack, with their places."""
    open_parts: list[list[Part]] = [[]]
    opened: list[int] = []
    at = 0
    while found := _TOKEN.match(text, at):
        token, here = found.group(), at
        at = found.end()
        if token == "{":
            field, at = _field(text, here)
            open_parts[-1].append(field)
        elif token == "[":
            if len(opened) == _DEEPEST:
                raise _malformed(text, here, f"nests more than {_DEEPEST} brackets", "use fewer")
            opened.append(here)
            open_parts.append([])
        elif token == "]" and text[at : at + 1] == "]" and len(opened) < 2:
            open_parts[-1].append("]")
            at += 1
        elif token == "]":
            if not opened:
                raise _malformed(text, here, "closes a bracket that is not open", "write ]] for the sign itself")
            opened.pop()
            inner = Optional(tuple(open_parts.pop()))
            open_parts[-1].append(inner)
        elif token == "}":
            raise _malformed(text, here, "closes a brace that is not open", "write }} for the sign itself")
        else:
            open_parts[-1].append(token[0] if token in ("{{", "}}", "[[") else token)
    if opened:
        raise _malformed(text, opened[-1], "opens a bracket that is not closed", "close it, or write [[ for the sign")
    return tuple(open_parts[0])


def _field(text: str, brace: int) -> tuple[Field, int]:
    """The field whose brace is at a place, and the place after it."""
    if "}" not in text[brace:]:
        raise _malformed(text, brace, "opens a brace that is not closed", "close it, or write {{ for the sign itself")
    found = _FIELD.match(text, brace + 1)
    if found is None:
        raise _malformed(
            text, brace, "has no field name", "put a name of letters and digits between the braces, such as {breed}"
        )
    return Field(found["name"], bool(found["article"])), found.end()


def _malformed(text: str, place: int, problem: str, remedy: str) -> LimnerError:
    return LimnerError(f"the caption template {problem} at character {place + 1}, {text[place : place + 20]!r}", remedy)
