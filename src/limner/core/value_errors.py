"""What a value should be, for each kind of pydantic's validation errors, in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_LIMITS = {
    "greater_than_equal": "use {ge} or more",
    "greater_than": "use more than {gt}",
    "less_than_equal": "use {le} or less",
    "less_than": "use less than {lt}",
    "multiple_of": "use a multiple of {multiple_of}",
    "finite_number": "use a finite number",
}
_TYPES = {
    "int": "use a whole number",
    "float": "use a number",
    "bool": "use true or false",
    "string": "use text",
    "bytes": "use text",
    "list": "use a list",
    "tuple": "use a list",
    "set": "use a list",
    "frozen_set": "use a list",
    "dict": "use an object",
    "model": "use an object",
    "model_attributes": "use an object",
    "mapping": "use an object",
    "date": "use a date, such as 2026-01-31",
    "datetime": "use a date and time, such as 2026-01-31T18:30:00",
    "url": "use a URL",
}
"""By the first part of an error's type, which ends in _type, _parsing and the like."""
_ENDING = re.compile(
    r"_(?:type|parsing|parsing_size|from_float|from_datetime_parsing|from_datetime_inexact|from_date_parsing|sub_type|unicode|object_invalid)$"
)
_CHOICE = re.compile(r"'([^']*)'")


def describe_value_error(item: Mapping[str, Any]) -> str:
    """What the value should be, for an item of a ValidationError's `errors()`; a validator's own text as it is."""
    kind: str = item["type"]
    context: dict[str, Any] = item.get("ctx") or {}
    if kind in _LIMITS:
        return _LIMITS[kind].format_map(context)
    if kind in ("string_too_short", "too_short", "bytes_too_short"):
        return _count("at least", context["min_length"], kind)
    if kind in ("string_too_long", "too_long", "bytes_too_long"):
        return _count("at most", context["max_length"], kind)
    if kind in ("literal_error", "enum"):
        expected = str(context["expected"])
        return f"choose one of: {', '.join(_CHOICE.findall(expected)) or expected}"
    if kind == "union_tag_invalid":
        return f"{context['discriminator']} is {context['tag']!r}; choose one of: {context['expected_tags']}"
    if kind == "json_invalid":
        return "it is not valid JSON"
    if kind == "string_pattern_mismatch":
        return f"it does not have the form {context['pattern']}"
    if kind == "missing":
        return "it is missing"
    if kind == "extra_forbidden":
        return "there is no such field"
    if kind != "value_error" and (described := _TYPES.get(_ENDING.sub("", kind))):
        return described
    return item["msg"].removeprefix("Value error, ")


def _count(bound: str, number: int, kind: str) -> str:
    """The sentence for a text or a list of a wrong length."""
    noun = "item" if kind.startswith("too") else "character"
    verb = "give" if noun == "item" else "use"
    return f"{verb} {bound} {number:,} {noun}{'s' * (number != 1)}"
