"""Reads small JSON files that people send in, any of which may be hostile."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from limner.core.errors import LimnerError, invalid

MAX_BYTES = 2**20
"""Size of the largest file that is read, in bytes."""
Read = TypeVar("Read", bound=BaseModel)


def read_small_json(path: Path, kind: type[Read], what: str, remedy: str, longest: int = MAX_BYTES) -> Read:
    """A JSON file as a model; raises LimnerError for anything else. what: the kind of file, for messages."""
    try:
        if not path.is_file():
            raise LimnerError(
                f"{str(path)!r} does not exist" if not path.exists() else f"{str(path)!r} is not a file", remedy
            )
        with path.open("rb") as file:
            data = file.read(longest + 1)
    except OSError as error:
        raise LimnerError(f"{str(path)!r} cannot be read: {error.strerror or error}", remedy) from error
    if len(data) > longest:
        raise LimnerError(f"{str(path)!r} is larger than {what} can be ({longest} bytes)", remedy)
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise LimnerError(f"{str(path)!r} is not {what}: {_first(error)}", remedy) from error


def _first(error: ValidationError) -> str:
    """The first problem, shortened."""
    return str(invalid(error)).split("; ")[0][:200]
