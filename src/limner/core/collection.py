"""Pauses Python's garbage collector while modules are imported, whose objects stay until the process ends."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Generator[None]:
    """A context for imports, without garbage collection.

    Imports create a million objects and hardly any garbage. To search all of them again and again, while their number
    grows, takes a quarter of the time of the imports.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
