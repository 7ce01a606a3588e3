"""The version of this package."""

from __future__ import annotations

from functools import cache
from importlib import metadata


@cache
def version() -> str:
    """What the package's metadata says; it takes milliseconds to read, and every picture names it."""
    return metadata.version("limner")
