"""Records of prompts from rows of tables, whatever their columns are called."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from limner.core.errors import LimnerError
from limner.core.prompt_records import LONGEST_PROMPT, PromptRecord

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
    "stars": ("stars", "rating"),
    "created": ("timestamp", "created", "created_at", "date"),
    "unsafe": ("nsfw", "unsafe", "prompt_nsfw"),
    "unsafe_image": ("image_nsfw",),
}
"""Names of columns by field, in lower case; the first that a row has counts."""
SAMPLERS = ("ddim", "plms", "k_euler", "k_euler_ancestral", "k_heun", "k_dpm_2", "k_dpm_2_ancestral", "k_lms", "others")
"""DiffusionDB's numbers of samplers, from 1."""
UNSAFE = 0.5
"""From this score on DiffusionDB's prompts and images count as unsafe; 2 stands for an image that was blurred."""
_LIMITS = {"width": 65535, "height": 65535, "steps": 10_000, "guidance": 1000.0, "seed": 2**63 - 1, "stars": 5}


def record_of(row: Mapping[str, Any], columns: Mapping[str, str] | None = None) -> PromptRecord:
    """The record in a row. columns: names of columns by field, where they are others than COLUMNS has.

    Raises LimnerError for a row that cannot be used, with the column and its value.
    """
    found = {str(name).lower(): value for name, value in row.items()}
    values = {field: _value(found, field, columns or {}) for field in COLUMNS}
    prompt = _text("prompt", values["prompt"], LONGEST_PROMPT).strip()
    if not prompt:
        raise LimnerError("there is no prompt", "name its column: --columns prompt=NAME")
    numbers = {name: _number(name, values[name]) for name in _LIMITS}
    return PromptRecord(
        prompt,
        _text("negative", values["negative"], LONGEST_PROMPT).strip(),
        _text("image", values["image"], 4000),
        _text("model", values["model"], 400),
        _text("adapter", values["adapter"], 400),
        _sampler(values["sampler"]),
        **{name: int(value) for name in ("width", "height", "steps", "seed", "stars") if (value := numbers[name])},
        guidance=numbers["guidance"],
        created=_time(values["created"]),
        unsafe=_unsafe(values["unsafe"]) or _unsafe(values["unsafe_image"]),
    )


def _value(row: Mapping[str, Any], field: str, columns: Mapping[str, str]) -> Any:
    if field in columns:
        return row.get(columns[field].lower())
    return next((row[name] for name in COLUMNS[field] if row.get(name) is not None), None)


def _text(field: str, value: Any, longest: int) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, str):
        raise LimnerError(f"{field} is {str(value)[:40]!r}, which is no text", "give text")
    if len(value) > longest:
        raise LimnerError(f"{field} has {len(value)} characters", f"use at most {longest}")
    if "\0" in value or any("\ud800" <= each <= "\udfff" for each in value):
        raise LimnerError(f"{field} has bytes that are no text", "save the file as UTF-8")
    return value


def _number(field: str, value: Any) -> float | None:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise LimnerError(f"{field} is {str(value)[:40]!r}, which is no number", "give a number") from error
    if not 0 <= number <= _LIMITS[field]:
        raise LimnerError(f"{field} is {str(value)[:40]}", f"use 0 to {_LIMITS[field]:,}")
    return int(value) if field == "seed" and isinstance(value, int | str) and str(value).isdigit() else number


def _sampler(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return SAMPLERS[value - 1] if 1 <= value <= len(SAMPLERS) else str(value)
    return _text("sampler", value, 100)


def _time(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise LimnerError(f"the time is {str(value)[:40]!r}", "write it as 2026-01-31T12:00:00") from error


def _unsafe(value: Any) -> bool:
    if isinstance(value, str):
        word = value.strip().lower()
        return word in ("true", "yes", "nsfw", "unsafe", "x", "mature") or _above(word)
    return value is True or _above(value)


def _above(value: Any) -> bool:
    try:
        return float(value) >= UNSAFE
    except (TypeError, ValueError):
        return False
