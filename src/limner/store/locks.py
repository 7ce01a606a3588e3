"""Locks between programs: on a run, an output folder and a library of prompts while they are worked on.

The operating system releases a lock when its program ends, however it ends.
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
    """Another program executes the run, writes the folder, or imports the library."""


@contextmanager
def run_lock(folder: Path) -> Generator[None]:
    """Lock a run's folder. Raises Locked if another program holds it, LimnerError if the disk has no locks."""
    problem = f"run {folder.name} is being executed by another program"
    with _locked(folder / "lock", Locked(problem, "wait until that ends, or stop it")):
        yield


@contextmanager
def output_lock(folder: Path) -> Generator[None]:
    """Lock an output folder while it is written. Raises Locked if another program holds it.

    The lock file lies beside the folder, so it works between programs with different homes.
    """
    make_folder(folder.parent)
    lock = folder.with_name(f".limner-lock-{hashlib.sha256(os.fsencode(folder.name)).hexdigest()[:16]}")
    problem = f"{str(folder)!r} is being filled by another program"
    with _locked(lock, Locked(problem, "wait until that ends, or choose another --out")):
        try:
            yield
        finally:  # while locked: a program that waits for this file sees that it is gone, and creates a new one
            discard(lock, folder.parent)


@contextmanager
def library_lock(folder: Path) -> Generator[None]:
    """Lock the folder of a library of prompts while it is imported or removed. Raises Locked if another program does.

    The lock file lies beside the folder, whose name then is free again, and stays there.
    """
    make_folder(folder.parent)
    problem = f"library {folder.name!r} is being imported by another program"
    with _locked(folder.with_name(f".lock-{folder.name}"), Locked(problem, "wait until that ends, or stop it")):
        yield


def with_output_lock(write: Callable[Concatenate[Path, P], T]) -> Callable[Concatenate[Path, P], T]:
    """Decorate a function so that it holds the `output_lock` of the folder that is its first argument."""

    @wraps(write)
    def locked(folder: Path, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with output_lock(folder):
            return write(folder, *args, **kwargs)

    return locked


@contextmanager
def waiting_lock(folder: Path, seconds: float = 60) -> Generator[None]:
    """Lock a folder for a short time, and wait while another program holds it. Raises Locked after so many seconds."""
    make_folder(folder)
    problem = f"{str(folder)!r} is being written by another program"
    with _locked(folder / "lock", Locked(problem, "try again when that ends"), seconds):
        yield


@contextmanager
def _locked(file: Path, refusal: Locked, seconds: float = 0) -> Generator[None]:
    lock = FileLock(file, timeout=seconds, fallback_to_soft=False)
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
    """Whether a program executes this run now."""
    with suppress(Locked), run_lock(folder):
        return False
    return True
