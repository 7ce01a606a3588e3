"""Who carries out a run: one program at a time. The system lets a lock go when its program ends, however it ends."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from limner.core.errors import LimnerError


@contextmanager
def held(folder: Path) -> Generator[None]:
    """Hold a run's folder; LimnerError when another program does."""
    try:
        with FileLock(folder / "lock", blocking=False):
            yield
    except Timeout as error:
        raise LimnerError(
            f"run {folder.name} is being carried out by another program", "wait until that ends, or stop it"
        ) from error


def is_held(folder: Path) -> bool:
    """Whether some program carries out this run now."""
    try:
        with held(folder):
            return False
    except LimnerError:
        return True
