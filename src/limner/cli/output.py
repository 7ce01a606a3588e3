"""Writes lines to the terminal without the rich library, which only some commands need."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import TextIO

from limner.core.text import printable


def print_line(text: object, file: TextIO | None = None) -> None:
    """Print a text on one line that controls nothing of the terminal. file: standard output by default."""
    print(printable(str(text)).replace("\n", "\\n"), file=file)


def escape_unencodable() -> None:
    """Let both outputs escape what their encoding lacks, such as a byte of a file name, in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
