"""One program at a time carries out a run, and fills the folder of a result. The system lets a lock go when its
program ends, however it ends.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from filelock import FileLock, Timeout

from limner.core.errors import LimnerError
from limner.store.files import make_folder, translate_disk_errors
from limner.store.removal import discard

P = ParamSpec("P")
T = TypeVar("T")


class Locked(LimnerError):
    """Another program carries out the run, or fills the folder."""


@contextmanager
def run_lock(folder: Path) -> Generator[None]:
    """Hold a run's folder; Held when another program does, LimnerError when the disk knows no locks."""
    problem = f"run {folder.name} is being carried out by another program"
    with _locked(folder / "lock", Locked(problem, "wait until that ends, or stop it")):
        yield


@contextmanager
def output_lock(folder: Path) -> Generator[None]:
    """Hold the folder of a result while it is made; Held when another program does.

    The lock lies beside the folder, so that it holds for every program that can reach that place, whatever its home.
    """
    make_folder(folder.parent)
    lock = folder.with_name(f".limner-lock-{hashlib.sha256(os.fsencode(folder.name)).hexdigest()[:16]}")
    problem = f"{str(folder)!r} is being filled by another program"
    with _locked(lock, Locked(problem, "wait until that ends, or choose another --out")):
        try:
            yield
        finally:  # while it is held: whoever waits for this file sees that it is gone, and makes a new one
            discard(lock, folder.parent)


def with_output_lock(fill: Callable[Concatenate[Path, P], T]) -> Callable[Concatenate[Path, P], T]:
    """A function that fills the folder of its first argument, made to hold that folder as `filling` does."""

    @wraps(fill)
    def held_fill(folder: Path, /, *args: P.args, **more: P.kwargs) -> T:
        with output_lock(folder):
            return fill(folder, *args, **more)

    return held_fill


@contextmanager
def _locked(file: Path, refusal: Locked) -> Generator[None]:
    lock = FileLock(file, blocking=False, fallback_to_soft=False)
    with translate_disk_errors(file.parent):
        try:
            lock.acquire()
        except Timeout as error:
            raise refusal from error
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Whether some program carries out this run now."""
    with suppress(Locked), run_lock(folder):
        return False
    return True
