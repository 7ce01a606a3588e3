"""The version of this package."""

from __future__ import annotations

from functools import cache
from importlib import metadata


@cache
def version() -> str:
    """The version in the package's metadata; cached, because reading it takes milliseconds and every image needs it."""
    return metadata.version("limner")
