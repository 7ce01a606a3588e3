"""Records of prompts from rows of tables, whatever their columns are called.

Only the columns of `COLUMNS` are used. Names of users, which DiffusionDB has, are not imported, for their privacy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from limner.core.errors import LimnerError
from limner.core.files import short_line
from limner.core.prompt_records import LONGEST_PROMPT, PromptRecord
from limner.data.entries.annotations import normalized_columns

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "p", "text", "caption", "positive_prompt", "prompts"),
    "negative": ("negative_prompt", "negative", "negativeprompt", "np"),
    "image": ("image_name", "image", "image_url", "url", "file_name", "path"),
    "model": ("model", "model_name", "checkpoint"),
    "adapter": ("adapter", "lora"),
    "sampler": ("sampler", "sampler_name", "scheduler", "sa"),
    "width": ("width", "w"),
    "height": ("height", "h"),
    "steps": ("steps", "step", "st", "num_inference_steps"),
    "guidance": ("cfg", "cfg_scale", "guidance", "guidance_scale", "c"),
    "seed": ("seed", "se"),
    "stars": ("stars",),
    "created": ("timestamp", "created", "created_at", "date", "ts"),
    "unsafe": ("nsfw", "unsafe", "prompt_nsfw"),
    "unsafe_image": ("image_nsfw",),
}
"""Names of columns by field, in lower case; the first that a row has counts."""
SAMPLERS = ("ddim", "plms", "k_euler", "k_euler_ancestral", "k_heun", "k_dpm_2", "k_dpm_2_ancestral", "k_lms", "others")
"""DiffusionDB's numbers of samplers, from 1."""
UNSAFE = 0.5
"""From this score on DiffusionDB's prompts and images count as unsafe; 2 stands for an image that was blurred."""
LIMITS = {"width": 65535, "height": 65535, "steps": 10_000, "guidance": 1000, "seed": 2**64 - 1, "stars": 5}
IS_UNSAFE = frozenset(
    ("true", "t", "yes", "y", "nsfw", "unsafe", "explicit", "questionable", "adult", "soft", "mature", "x")
)
IS_SAFE = frozenset(("false", "f", "no", "n", "sfw", "safe", "general", "none"))
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_SHOWN_COLUMNS = 12


def record_of(row: Mapping[str, Any], columns: Mapping[str, str] | None = None) -> PromptRecord:
    """The record in a row. columns: names of columns by field, where they are others than COLUMNS has.

    Raises LimnerError for a row that cannot be used, with the column and its value.
    """
    plan = _plan(tuple(row), tuple((columns or {}).items()))
    values = {
        field: row[names[0]] if len(names) == 1 else next((row[name] for name in names if row[name] is not None), None)
        for field, names in plan
    }
    get = values.get
    prompt = _text("prompt", get("prompt"), LONGEST_PROMPT).strip()
    if not prompt:
        known = any(field == "prompt" for field, _ in plan)
        raise LimnerError("there is no prompt", "fill it in" if known else "name its column: --columns prompt=NAME")
    return PromptRecord(
        prompt,
        _text("negative", get("negative"), LONGEST_PROMPT).strip(),
        _text("image", get("image"), 4000).strip(),
        _name("model", get("model")),
        _name("adapter", get("adapter")),
        _sampler(get("sampler")),
        _count("width", get("width")) or None,
        _count("height", get("height")) or None,
        _count("steps", get("steps")) or None,
        _number("guidance", get("guidance")),
        _seed(get("seed")),
        _count("stars", get("stars")) or None,
        _time(get("created")),
        _unsafe("unsafe", get("unsafe")) or _unsafe("unsafe_image", get("unsafe_image")),
    )


def check_columns(names: Iterable[str], columns: Mapping[str, str], what: str) -> None:
    """Raise LimnerError for a table whose columns cannot be used. names: of its columns. what: names it in messages.

    A column is missing that was named or holds the prompt, or two columns that are used have the same name.
    """
    names = [*names]
    plain = [*map(_plain, names)]
    shown = short_line(", ".join(plain[:_SHOWN_COLUMNS]) + (", ..." if len(plain) > _SHOWN_COLUMNS else ""), 300)
    for name in columns.values():
        if _plain(name) not in plain:
            raise LimnerError(f"{what} has no column {name[:80]!r}", f"it has: {shown}")
    wanted = {*map(_plain, columns.values())}
    wanted.update(name for field, known in COLUMNS.items() if field not in columns for name in known)
    twice = next((name for name in plain if name in wanted and plain.count(name) > 1), None)
    if twice is not None:
        raise LimnerError(f"{what} has two columns {twice!r}", "rename one of them")
    if "prompt" not in columns and not any(name in plain for name in COLUMNS["prompt"]):
        raise LimnerError(f"{what} has no column of prompts (it has: {shown})", "name it: --columns prompt=NAME")


def used_columns(names: Iterable[str], columns: Mapping[str, str]) -> list[str]:
    """Those columns of a table that a record is made of."""
    return [*dict.fromkeys(name for _, found in _plan(tuple(names), tuple(columns.items())) for name in found)]


@lru_cache(maxsize=64)
def _plan(names: tuple[str, ...], columns: tuple[tuple[str, str], ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The columns of each field that a row has, by its column names, in order of preference."""
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    chosen = {field: (_plain(name),) for field, name in columns}
    wanted = ((field, chosen.get(field, known)) for field, known in COLUMNS.items())
    found = ((field, tuple(plain[name] for name in known if name in plain)) for field, known in wanted)
    return tuple((field, held) for field, held in found if held)


def _plain(name: str) -> str:
    """The name of a column in lower case, with "_" for spaces, as tables of text have it."""
    return next(iter(normalized_columns({name: None})))


def _shown(value: Any) -> str:
    """A value for a message; what holds others is named by its kind, because it may be of any size."""
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return repr(value[:40]) if isinstance(value, str | bytes) else short_line(str(value), 40)


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or value != value  # NaN, and pandas' NaT, are not themselves


def _text(field: str, value: Any, longest: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        if value != value:
            return ""
        raise LimnerError(f"{field} is {_shown(value)}, which is no text", "give text")
    if len(value) > longest:
        raise LimnerError(f"{field} has {len(value):,} characters", f"use at most {longest:,}")
    if "\0" in value or (not value.isascii() and _NO_TEXT.search(value)):
        raise LimnerError(f"{field} has bytes that are no text ({_shown(value)})", "save the file as UTF-8")
    return value


def _name(field: str, value: Any) -> str:
    """A name, which may be a number in a table of numbers."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    return _text(field, str(value) if number else value, 400).strip()


def _number(field: str, value: Any) -> int | float | None:
    if _is_missing(value):
        return None
    try:
        if isinstance(value, str):
            text = value.strip()
            number = int(text) if _WHOLE.fullmatch(text) else float(text or "nan")
        elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            number = float(value) if isinstance(value, Decimal) else value
        else:
            raise TypeError
    except (TypeError, ValueError) as error:
        raise LimnerError(f"{field} is {_shown(value)}, which is no number", "give a number") from error
    if number != number or (field == "seed" and number < 0):  # -1 stands for a random seed
        return None
    if not 0 <= number <= LIMITS[field]:
        raise LimnerError(f"{field} is {_shown(value)}", f"use 0 to {LIMITS[field]:,}")
    return number


def _count(field: str, value: Any) -> int | None:
    number = _number(field, value)
    if number is None:
        return None
    if number != int(number):
        raise LimnerError(f"{field} is {_shown(value)}, which is no whole number", "give a whole number")
    return int(number)


def _seed(value: Any) -> int | None:
    return _count("seed", value)


def _sampler(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return SAMPLERS[value - 1] if 1 <= value <= len(SAMPLERS) else str(value)
    return _text("sampler", value, 100).strip()


def _time(value: Any) -> datetime | None:
    if _is_missing(value):
        return None
    try:
        found = value if isinstance(value, datetime) else _parsed_time(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise LimnerError(f"the time is {_shown(value)}", "write it as 2026-01-31T12:00:00") from error


def _parsed_time(value: Any) -> datetime:
    """A time of ISO 8601, or in seconds or milliseconds since 1970."""
    if isinstance(value, list | dict | tuple | bytes | bool):
        raise ValueError("no time")
    text = str(value).strip()[:64]
    if isinstance(value, int | float) or _WHOLE.fullmatch(text):
        number = float(value)
        for unit in (1, 1000):
            if 1e9 <= number / unit < 1e10:
                return datetime.fromtimestamp(number / unit, UTC)
    return datetime.fromisoformat(text)


def _unsafe(field: str, value: Any) -> bool:
    if _is_missing(value):
        return False
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, str) and (word in IS_UNSAFE or word in IS_SAFE or not word):
        return word in IS_UNSAFE
    try:
        return float(word) >= UNSAFE
    except (TypeError, ValueError, OverflowError) as error:
        remedy = "use true, false, or a score from 0 to 1"
        raise LimnerError(f"{field} is {_shown(value)}, which is no such mark", remedy) from error
