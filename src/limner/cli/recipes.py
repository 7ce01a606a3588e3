"""Recipes: requests written down as YAML, a document each; and prompts as lines of a text."""

from __future__ import annotations

import difflib
import reprlib
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.requests import (
    CompareRequest,
    EvaluateRequest,
    GenerateRequest,
    PrepareRequest,
    SweepRequest,
    TrainRequest,
)
from limner.models.options import EmbeddingOptions, LoraOptions

REQUESTS = {
    "compare": CompareRequest,
    "evaluate": EvaluateRequest,
    "generate": GenerateRequest,
    "prepare": PrepareRequest,
    "sweep": SweepRequest,
    "train": TrainRequest,
}
OPTIONS = {**LoraOptions.model_fields, **EmbeddingOptions.model_fields}
LONGEST = 2**20
"""The longest recipe that is read, in bytes."""


def read_recipe(path: str | Path, kind: str) -> list[dict[str, Any]]:
    """The fields of each request in a file; `kind` says of which requests. Raises LimnerError."""
    import yaml

    place = Path(path).expanduser()
    if place.exists() and (not place.is_file() or place.stat().st_size > LONGEST):
        raise LimnerError(f"{str(path)!r} is no recipe, but a folder, a device or a file of over {LONGEST} bytes")
    try:
        documents = [told for told in yaml.safe_load_all(place.read_text(encoding="utf-8")) if told is not None]
    except FileNotFoundError as error:
        raise LimnerError(
            f"recipe {str(path)!r} does not exist", "give a YAML file, such as one of recipes/"
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" in line {mark.line + 1}" if mark else ""
        raise LimnerError(
            f"recipe {str(path)!r} is no YAML{line}: {error.problem or error.context}", "mend it"
        ) from error
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise LimnerError(f"recipe {str(path)!r} cannot be read: {error}", "mend it, or copy it again") from error
    if not documents or not all(isinstance(told, dict) for told in documents):
        raise LimnerError(f"recipe {str(path)!r} holds no fields of a request", "write lines such as 'steps: 800'")
    others = [told["kind"] for told in documents if told.setdefault("kind", kind) != kind]
    if others:
        other = reprlib.repr(others[0]).strip("'")
        raise LimnerError(f"recipe {str(path)!r} is one to {other}, not to {kind}", f"use it with `limner {other}`")
    for fields in documents:
        _check_names(path, fields, kind)
    return documents


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text file that say something, each once; raises LimnerError."""
    place = Path(path).expanduser()
    remedy = "give a text file with a prompt in each line"
    if place.exists() and (not place.is_file() or place.stat().st_size > LONGEST):
        raise LimnerError(f"{str(path)!r} is a folder, a device or a file of over {LONGEST} bytes", remedy)
    try:
        text = place.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise LimnerError(f"{str(path)!r} does not exist", remedy) from error
    except (OSError, ValueError) as error:
        raise LimnerError(f"{str(path)!r} cannot be read: {error}", remedy) from error
    lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not lines:
        raise LimnerError(f"{str(path)!r} holds no prompt", remedy)
    return lines


def _check_names(path: str | Path, fields: dict[str, Any], kind: str) -> None:
    """Refuse a field that the request does not have, with the nearest that it has."""
    known = REQUESTS[kind].model_fields
    for name in (name for name in fields if name not in known):
        if name in OPTIONS:
            remedy = f"it is an option of the method: write 'options: {{{name}: {fields[name]!r}}}'"
        else:
            near = difflib.get_close_matches(str(name), known, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        raise LimnerError(f"recipe {str(path)!r} has an unknown field {reprlib.repr(name)}", remedy)
