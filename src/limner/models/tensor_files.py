"""Opening .safetensors files, any of which may be damaged or hostile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from limner.core.disk import error_number
from limner.core.errors import LimnerError
from limner.core.files import check_file

_REASONS = {
    "header too small": "it is too short to have a header",
    "header too large": "its header is too large",
    "header length": "its header is longer than the file",
    "not fully covered": "its tensors do not fill the file",
    "offset": "a tensor's shape, type and place in the file do not fit together",
    "overflow": "a tensor is too large",
    "header": "its header is not that of a .safetensors file",
}
"""What is wrong with a file, by what the library's error says; the first that fits."""


@contextmanager
def open_tensors(file: Path, what: str, remedy: str, framework: Literal["np", "pt"] = "np") -> Iterator[Any]:
    """A .safetensors file, opened for reading; raises LimnerError for one that is damaged, or cannot be opened.

    what: the file for messages, such as "adapter 'rex'". framework: of the tensors.
    """
    from safetensors import SafetensorError, safe_open

    try:
        check_file(file)  # opening a pipe would wait for its writer
    except LimnerError as error:
        raise LimnerError(f"{what} cannot be read: {error.problem}", remedy) from error
    try:
        with safe_open(file, framework=framework) as tensors:
            yield tensors
    except (SafetensorError, OSError) as error:
        raise LimnerError(f"{what} cannot be read: {damage(error)}", remedy) from error


def damage(error: Exception) -> str:
    """What is wrong with a .safetensors file, in our own words, by the library's error."""
    if number := error_number(error):
        return os.strerror(number).lower()
    return next((reason for sign, reason in _REASONS.items() if sign in str(error)), "it is damaged")
