"""Recipes: requests written down as YAML, a document each."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any

from .core.errors import LimnerError

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
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise LimnerError(f"recipe {str(path)!r} cannot be read: {error}", "mend it, or copy it again") from error
    if not documents or not all(isinstance(told, dict) for told in documents):
        raise LimnerError(f"recipe {str(path)!r} holds no fields of a request", "write lines such as 'steps: 800'")
    others = [told["kind"] for told in documents if told.setdefault("kind", kind) != kind]
    if others:
        other = reprlib.repr(others[0]).strip("'")
        raise LimnerError(f"recipe {str(path)!r} is one to {other}, not to {kind}", f"use it with `limner {other}`")
    return documents
