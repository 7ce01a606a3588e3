"""Values of rows of feedback, whose types a stranger chose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from limner.core.feedback import STARS, Reason
from limner.core.moments import utc
from limner.core.requests.request import MAX_PROMPT
from limner.store.blobs import REFERENCE

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_SHORT = 4096
"""Most characters of a text that is no prompt."""
_ITEMS = 64


class WrongValue(Exception):
    """A value that cannot be used. reason: a clause for a line of what is left out. example: the value."""

    def __init__(self, reason: str, value: object = "") -> None:
        super().__init__(reason)
        self.reason, self.example = reason, _shown(value)


def text(values: Mapping[str, Any], name: str, longest: int = _SHORT) -> str:
    """A text, "" for a missing one. Raises WrongValue for what is no text, or too long."""
    value = values.get(name)
    if value is None or value != value:  # NaN stands for a missing value where pandas wrote the file
        return ""
    if not isinstance(value, str) or _NO_TEXT.search(value[: longest + 1]):
        raise WrongValue(f"{name} is no text", value)
    if len(value) > longest:
        raise WrongValue(f"{name} is longer than {longest:,} characters")
    return value


def prompt(values: Mapping[str, Any]) -> str:
    """The prompt of a row, in either of its columns; "" for none."""
    return text(values, "caption", MAX_PROMPT) or text(values, "prompt", MAX_PROMPT)


def stars(value: object) -> int:
    """Stars from 1 to 5. Raises WrongValue for all else, such as NaN, a boolean or 3.5."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value in range(1, STARS + 1):
        return int(value)
    raise WrongValue(f"stars are no whole number from 1 to {STARS}", value)


def share(values: Mapping[str, Any], name: str) -> float | None:
    """A number from 0 to 1, None for a missing one. Raises WrongValue for all else."""
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise WrongValue(f"{name} is no number from 0 to 1", value)


def rater(values: Mapping[str, Any]) -> str:
    """The pseudonym of who judged, "" where the row does not say; Pick-a-Pic has numbers."""
    value = values.get("user_id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 2**64 else ""
    return text(values, "user_id", 200)


def moment(value: object) -> datetime | None:
    """A time, from a text in ISO 8601 or from parquet; None for anything else."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) and len(value) < 64 else value
        return utc(found) if isinstance(found, datetime) else None
    except (ValueError, OverflowError):
        return None


def reasons(value: object) -> tuple[tuple[Reason, ...], tuple[str, ...]]:
    """The reasons in a list, and those items that are none."""
    items = _items(value)
    known = {reason for reason in Reason if reason.value in items}
    return tuple(sorted(known)), tuple(item for item in items if item not in known)


def adapters(value: object) -> tuple[str, ...] | None:
    """The hashes of adapters in a list of references; None where there is no list, or where one is a path."""
    if not isinstance(value, list):
        return None
    found = [REFERENCE.fullmatch(item) for item in _items(value)]
    return tuple(each[2] for each in found if each) if all(found) else None


def _items(value: object) -> list[str]:
    items: Iterable[object] = value[:_ITEMS] if isinstance(value, list) else ()
    return [str(item)[:_SHORT] for item in items if isinstance(item, str)]


def _shown(value: object) -> str:
    """A value for a message. What contains others is named by its kind, because it may be of any size."""
    if isinstance(value, str | bytes):
        return ascii(value[:40]).strip("'")
    if isinstance(value, bool | None) or (isinstance(value, float) and not isfinite(value)):
        return str(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 2**63 else "a large number"
    return f"{value:g}" if isinstance(value, float) else f"a {type(value).__name__}"
