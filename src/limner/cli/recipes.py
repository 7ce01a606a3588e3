"""Reads recipes: YAML files with the fields of one or more requests."""

from __future__ import annotations

import difflib
import reprlib
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.execution import body_model
from limner.core.files import expand_home

LONGEST = 2**20
"""The largest recipe that is read, in bytes."""


def read_recipe(path: str | Path, kind: str) -> list[dict[str, Any]]:
    """The fields of each request of a kind in a file; raises LimnerError."""
    import yaml

    place = expand_home(path)
    if place.exists() and (not place.is_file() or place.stat().st_size > LONGEST):
        raise LimnerError(
            f"recipe {str(path)!r} is a folder, a device or a file of over {LONGEST} bytes", "give a YAML file"
        )
    try:
        documents = [each for each in yaml.safe_load_all(place.read_text(encoding="utf-8")) if each is not None]
    except FileNotFoundError as error:
        raise LimnerError(
            f"recipe {str(path)!r} does not exist", "give a YAML file, such as one of recipes/"
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" in line {mark.line + 1}" if mark else ""
        raise LimnerError(
            f"recipe {str(path)!r} is not valid YAML{line}: {error.problem or error.context}", "correct it"
        ) from error
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise LimnerError(f"recipe {str(path)!r} cannot be read: {error}", "correct it, or copy it again") from error
    if not documents or not all(isinstance(each, dict) for each in documents):
        raise LimnerError(f"recipe {str(path)!r} holds no fields of a request", "write lines such as 'steps: 800'")
    others = [each["kind"] for each in documents if each.setdefault("kind", kind) != kind]
    if others:
        other = reprlib.repr(others[0]).strip("'")
        raise LimnerError(f"recipe {str(path)!r} is for {other}, not for {kind}", f"use it with `limner {other}`")
    for fields in documents:
        _check_names(path, fields, kind)
    return documents


def _check_names(path: str | Path, fields: dict[str, Any], kind: str) -> None:
    """Raise LimnerError for a field that the request does not have, with the nearest that it has."""
    known = body_model(kind).model_fields
    for name in (name for name in fields if name not in known):
        if "options" in known and name in _method_options():
            remedy = f"it is an option of the method: write 'options: {{{name}: {fields[name]!r}}}'"
        else:
            near = difflib.get_close_matches(str(name), known, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"the fields are: {', '.join(known)}"
        raise LimnerError(f"recipe {str(path)!r} has an unknown field {reprlib.repr(name)}", remedy)


def _method_options() -> set[str]:
    """The options of all training methods."""
    from limner.studio.studio import method_options, methods

    return set[str]().union(*(method_options(method).model_fields for method in methods()))
