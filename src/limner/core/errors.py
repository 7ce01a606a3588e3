"""Errors that a user can fix: one line with the problem, the value and what to do."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from limner.core.kinds import KINDS
from limner.core.nearest_name import nearest_name
from limner.core.text import clean_line, shorten_names

if TYPE_CHECKING:
    from pydantic import ValidationError

MAX_PROBLEMS = 50
"""Most problems of one request that an error lists."""


class LimnerError(ValueError):
    """A problem that the user can fix. `str(error)` is one line: "problem; remedy"."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem, self.remedy = (shorten_names(clean_line(text)) for text in (problem, remedy))
        super().__init__(f"{self.problem}; {self.remedy}" if remedy else self.problem)


class Unavailable(LimnerError):
    """Something that Limner depends on, such as its database or its disk, does not work now."""


class QuotaExceeded(LimnerError):
    """A request for more than its account may have."""


class Interrupted(Exception):
    """The user stopped a run; its checkpoints are kept, and it can be resumed."""


def unknown(what: str, value: str, known: Iterable[str]) -> LimnerError:
    """The error for an unknown name, with the nearest known one. what: "metric", "scheduler" ..."""
    names = sorted(known)
    nearest = nearest_name(value, names)
    choices = f"choose one of: {', '.join(names)}" if names else "there is none yet"
    return LimnerError(f"unknown {what} {value!r}", f"did you mean {nearest!r}? {choices}" if nearest else choices)


def invalid(error: ValidationError, field_name: Callable[[str], str] = str) -> LimnerError:
    """A ValidationError as one line that names each field, its value and what it should be.

    field_name: the name of a field as the user knows it, such as a flag.
    """
    problems: list[str] = []
    found = error.errors(include_url=False)
    # A value that is refused only because of one of its parts is not listed again.
    wholes = {other["loc"][:end] for other in found for end in range(1, len(other["loc"]))}
    parts = [item for item in found if item["loc"] not in wholes]
    for item in parts[:MAX_PROBLEMS]:
        field, *inside = [str(part)[:80] for part in item["loc"] if part not in KINDS] or [""]
        place = " ".join([field_name(field), *(part for part in inside if not part.isdigit())])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            problems.append(f"unknown field {place!r}")
        elif item["type"] == "missing":
            problems.append(f"{place} is missing")
        elif not place or isinstance(item["input"], dict) or item["type"] == "value_error":
            problems.append(f"{place}: {message}" if place else message)
        else:
            value = item["input"]
            start = value[:80] if isinstance(value, str) else reprlib.repr(value)[:80]
            problems.append(f"{place} {start!r}: {message[0].lower()}{message[1:]}")
    if len(parts) > MAX_PROBLEMS:
        problems.append(f"and {len(parts) - MAX_PROBLEMS:,} more")
    return LimnerError("; ".join(problems))
