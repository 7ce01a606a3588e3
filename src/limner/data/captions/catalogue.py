"""The catalogue: fields of captions, such as breed, and their known values, from a YAML file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from limner.core.errors import LimnerError, invalid, unknown
from limner.core.files import open_file, quoted
from limner.core.nearest_name import nearest_name
from limner.core.requests import Frozen
from limner.core.text import clean_line
from limner.plugins.registry import aliases, load_domain

SHIPPED = Path(__file__).with_name("pets.yaml")
DEEPEST = 20
"""Most levels of a catalogue's YAML."""
LARGEST = 64 * 2**10
"""The largest catalogue that is read, in bytes."""
_NAME = re.compile(r"\w[\w .-]{0,63}")


def _field_name(name: str) -> str:
    if name != name.lower() or not _NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is not a field name; use lower-case letters, digits, spaces, _, . and -")
    return name


def _value(value: str) -> str:
    if not _plain(value):
        raise ValueError(f"the value {value!r} has no letter or digit; remove it")
    return clean_line(value)


Values = tuple[Annotated[str, Field(max_length=200), AfterValidator(_value)], ...]


class FieldEntry(Frozen):
    """One field of the file.

    known_by: by the name of a model, its attribute, whose values are added to the others. words: what captions say of
    a value. groups: further values, by the value of another field.
    """

    known_by: dict[str, str] = Field(default_factory=dict[str, str], max_length=8)
    values: Values = Field(default=(), max_length=2000)
    words: dict[str, Annotated[str, Field(max_length=200)]] = Field(default_factory=dict[str, str], max_length=2000)
    groups: dict[str, Annotated[Values, Field(max_length=2000)]] = Field(
        default_factory=dict[str, tuple[str, ...]], max_length=100
    )

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {"values": value}
        if isinstance(value, dict) and "words" not in value and isinstance(words := value.get("values"), dict):
            return {**value, "values": list(words), "words": words}
        return value


class CatalogueFile(Frozen):
    fields: dict[Annotated[str, AfterValidator(_field_name)], FieldEntry] = Field(min_length=1, max_length=64)


@dataclass(frozen=True)
class Catalogue:
    """The known values of each field, those of groups included. entries: the fields as the file has them."""

    fields: Mapping[str, tuple[str, ...]]
    entries: Mapping[str, FieldEntry]

    def lists(self, name: str, value: str) -> bool:
        """Whether a value contains a known value of its field, as whole words: "a red scarf" contains "scarf"."""
        return self._patterns[name].search(_plain(value)) is not None

    def nearest(self, name: str, value: str) -> str | None:
        """The known value that a mistyped one, or one of its words, probably means; None without one."""
        tried = (value, *reversed(_plain(value).split()))
        return next((found for each in tried if (found := nearest_name(each, self.fields[name]))), None)

    @cached_property
    def _patterns(self) -> dict[str, re.Pattern[str]]:
        return {
            name: re.compile(rf"\b(?:{'|'.join(re.escape(_plain(value)) for value in values)})\b")
            for name, values in self.fields.items()
        }


def read_catalogue(path: str | Path | None = None) -> Catalogue:
    """The catalogue in a YAML file, or the one of pets that comes with Limner; raises LimnerError."""
    place = Path(path or SHIPPED)
    content = _load(place)
    if not isinstance(content, dict):
        raise LimnerError(f"catalogue {quoted(place)} has no fields", "write 'fields:' and below it 'breed: [akita]'")
    try:
        found = CatalogueFile.model_validate(content)
    except ValidationError as error:
        raise LimnerError(f"catalogue {quoted(place)}: {invalid(error)}") from error
    fields = {name: _values(entry, f"catalogue {quoted(place)}: {name}") for name, entry in found.fields.items()}
    return Catalogue(fields, found.fields)


def _load(place: Path) -> Any:
    """The content of a file of plain YAML, without aliases, which could stand for far more than their file holds."""
    if place.exists() and not place.is_file():
        raise LimnerError(f"catalogue {quoted(place)} is a folder or a device", "give a YAML file")
    with open_file(place) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise LimnerError(f"catalogue {quoted(place)} is larger than {LARGEST // 2**10} KiB", "remove values")
    try:
        depth = 0
        for event in yaml.parse(data, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                problem = f"catalogue {quoted(place)} contains aliases (*name)"
                raise LimnerError(problem, "write the values in their place")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:  # the parser's time grows with the square of the depth
                raise LimnerError(f"catalogue {quoted(place)} is nested too deeply", "write fields and their values")
        return yaml.safe_load(data)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" in line {mark.line + 1}" if mark else ""
        problem = f"catalogue {quoted(place)} is not valid YAML{line}: {error.problem or error.context}"
        raise LimnerError(problem, "correct it") from error
    except LimnerError:
        raise
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise LimnerError(f"catalogue {quoted(place)} is not valid YAML: {error}", "correct it") from error


def _values(entry: FieldEntry, place: str) -> tuple[str, ...]:
    """The values of a field, those of models first; raises LimnerError for an unknown model or attribute."""
    known: dict[str, None] = {}
    for model, attribute in entry.known_by.items():
        try:
            known |= dict.fromkeys(_model_values(model, attribute))
        except LimnerError as error:
            raise LimnerError(f"{place}: {error.problem}", error.remedy) from error
    for values in (entry.values, *entry.groups.values()):
        known |= dict.fromkeys(values)
    if not known:
        raise LimnerError(f"{place} has no value", "list at least one under values")
    return tuple(known)


def _model_values(model: str, attribute: str) -> tuple[str, ...]:
    """The values of an attribute that a model with a domain knows."""
    domains = {name: alias.domain for name, (_, alias) in aliases().items() if alias.domain}
    if model not in domains:
        raise unknown("model with known values", model, domains)
    domain = load_domain(aliases()[model][1])
    values = {} if domain is None else domain.values()
    if attribute not in values:
        raise unknown(f"attribute of {model}", attribute, values)
    return values[attribute]


def _plain(text: str) -> str:
    """The words of a text in lower case, separated by single spaces."""
    return " ".join(re.findall(r"\w+", text.casefold()))
