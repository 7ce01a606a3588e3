"""Who carries out a run: one program at a time. The system lets a lock go when its program ends, however it ends."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from limner.core.errors import LimnerError

from .files import explained


class Held(LimnerError):
    """Another program carries out the run."""


@contextmanager
def held(folder: Path) -> Generator[None]:
    """Hold a run's folder; Held when another program does, LimnerError when the disk knows no locks."""
    lock = FileLock(folder / "lock", blocking=False, fallback_to_soft=False)
    with explained(folder):
        try:
            lock.acquire()
        except Timeout as error:
            problem = f"run {folder.name} is being carried out by another program"
            raise Held(problem, "wait until that ends, or stop it") from error
    try:
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether some program carries out this run now."""
    with suppress(Held), held(folder):
        return False
    return True
