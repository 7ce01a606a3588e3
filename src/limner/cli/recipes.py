"""Reads recipes: YAML files with the fields of one or more requests."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError, unknown
from limner.core.execution import body_model
from limner.core.files import expand_home
from limner.core.nearest_name import nearest_name

LONGEST = 2**20
"""The largest recipe that is read, in bytes."""


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with Limner, by name."""
    return {path.stem: path for path in (Path(__file__).parents[1] / "recipes").glob("*.yaml")}


def read_recipe(path: str | Path, kind: str) -> list[dict[str, Any]]:
    """The fields of each request of a kind in a file, or in the recipe of a name; raises LimnerError."""
    import yaml

    place = expand_home(path)
    if not place.is_file():
        place = shipped_recipes().get(str(path), place)
    if place.exists() and (not place.is_file() or place.stat().st_size > LONGEST):
        raise LimnerError(
            f"recipe {str(path)!r} is a folder, a device or a file of over {LONGEST} bytes", "give a YAML file"
        )
    try:
        documents = [each for each in yaml.safe_load_all(place.read_text(encoding="utf-8")) if each is not None]
    except FileNotFoundError as error:
        raise LimnerError(
            f"recipe {str(path)!r} does not exist",
            unknown("recipe", str(path), shipped_recipes()).remedy + ", or give a YAML file",
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
            near = nearest_name(str(name), known)
            remedy = f"did you mean {near!r}?" if near else f"choose one of: {', '.join(known)}"
        raise LimnerError(f"recipe {str(path)!r} has an unknown field {reprlib.repr(name)}", remedy)


def _method_options() -> set[str]:
    """The options of all training methods."""
    from limner.studio.choices import choices, method_options

    return set[str]().union(*(method_options(method).model_fields for method in choices("methods")))
