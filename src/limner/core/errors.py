"""Errors that a user can fix: one line with the problem, the value and what to do."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from limner.core.kinds import KINDS
from limner.core.nearest_name import nearest_name
from limner.core.text import clean_line, shorten_names
from limner.core.value_errors import describe_value_error

if TYPE_CHECKING:
    from pydantic import ValidationError

MAX_PROBLEMS = 50
"""Most problems of one request that an error lists."""
_WITHOUT_VALUE = ("value_error", "too_short", "too_long")
"""Types of errors whose text names the value, or whose value is a list."""


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
    return unknown_each(what, [value], known)


def unknown_each(what: str, values: Sequence[str], known: Iterable[str]) -> LimnerError:
    """The error for one or more unknown names. what: as in `unknown`, in the plural for more than one."""
    names = sorted(map(str, known))
    choices = f"choose one of: {', '.join(names)}" if names else "there is none yet"
    guesses = [(near, value) for value in values if (near := nearest_name(value, names))]
    guess = ", ".join(f"{near!r} for {value!r}" for near, value in guesses) if len(values) > 1 else ""
    guess = guess or ", ".join(repr(near) for near, _ in guesses)
    problem = f"unknown {what} {', '.join(map(repr, values))}"
    return LimnerError(problem, f"did you mean {guess}? {choices}" if guess else choices)


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
        message = describe_value_error(item)
        if item["type"] == "extra_forbidden":
            problems.append(f"unknown field {place!r}")
        elif item["type"] == "missing":
            problems.append(f"{place} is missing")
        elif not place or isinstance(item["input"], dict) or item["type"] in _WITHOUT_VALUE:
            problems.append(f"{place}: {message}" if place else message)
        else:
            value = item["input"]
            start = value[:80] if isinstance(value, str) else reprlib.repr(value)[:80]
            problems.append(f"{place} {start!r}: {message}")
    if len(parts) > MAX_PROBLEMS:
        problems.append(f"and {len(parts) - MAX_PROBLEMS:,} more")
    return LimnerError("; ".join(problems))
