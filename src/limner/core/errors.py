"""Errors that a user can cause: one clear line with the problem, the value and the remedy."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


KINDS = ("compare", "evaluate", "generate", "influence", "prepare", "sweep", "train")
"""Kinds of requests, by which pydantic says where in a body an error is, and which no user typed."""
MAX_PROBLEMS = 50
"""The most problems of one request that an error lists."""


def clean_line(text: str) -> str:
    """Text from anywhere, fit for a terminal: no line breaks, no control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class LimnerError(ValueError):
    """A problem that the user can mend. `str(error)` is one line: "problem; remedy"."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem, self.remedy = clean_line(problem), clean_line(remedy)
        super().__init__(f"{self.problem}; {self.remedy}" if remedy else self.problem)


class Unavailable(LimnerError):
    """Something that Limner stands on, such as its database, does not work now."""


class QuotaExceeded(LimnerError):
    """A wish beyond what its account is allowed."""


class Interrupted(Exception):
    """The user stopped a run; its work is kept and can be resumed."""


def unknown(what: str, value: str, known: Iterable[str]) -> LimnerError:
    """The error for a name that is not among the known ones, with the nearest of them."""
    names = sorted(known)
    near = difflib.get_close_matches(value.lower(), [name.lower() for name in names], n=1, cutoff=0.5)
    nearest = next((name for name in names if near and name.lower() == near[0]), None)
    choices = f"choose one of: {', '.join(names)}" if names else "there is none yet"
    return LimnerError(f"unknown {what} {value!r}", f"did you mean {nearest!r}? {choices}" if nearest else choices)


def _short(value: object) -> str:
    """The beginning of a value, whatever its size."""
    return value[:80] if isinstance(value, str) else reprlib.repr(value)[:80]


def invalid(error: ValidationError, spelt: Callable[[str], str] = str) -> LimnerError:
    """A request that pydantic refuses, as one line that names each field, its value and what it should be.

    spelt: how the surface spells a field.
    """
    problems: list[str] = []
    found = error.errors(include_url=False)
    # A whole that is refused only since one of its parts was is not told again.
    wholes = {other["loc"][:end] for other in found for end in range(1, len(other["loc"]))}
    parts = [item for item in found if item["loc"] not in wholes]
    for item in parts[:MAX_PROBLEMS]:
        field, *inside = [str(part)[:80] for part in item["loc"] if part not in KINDS] or [""]
        place = " ".join([spelt(field), *(part for part in inside if not part.isdigit())])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            problems.append(f"unknown field {place!r}")
        elif item["type"] == "missing":
            problems.append(f"{place} is missing")
        elif not place or isinstance(item["input"], dict) or item["type"] == "value_error":
            problems.append(f"{place}: {message}" if place else message)
        else:
            problems.append(f"{place} {_short(item['input'])!r}: {message[0].lower()}{message[1:]}")
    if len(parts) > MAX_PROBLEMS:
        problems.append(f"and {len(parts) - MAX_PROBLEMS:,} more")
    return LimnerError("; ".join(problems))
