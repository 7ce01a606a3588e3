"""Reads files that a user names, without blocking, and with a clear error where that fails."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from limner.core.errors import LimnerError
from limner.core.text import clean_line

BYTE_CAP = 512 * 2**20
"""Size of the largest file that is read, in bytes."""

_KINDS = (
    (stat.S_ISDIR, "is a folder, not an image file", "give an image in it"),
    (stat.S_ISFIFO, "is a named pipe, not a file", "copy the image into an ordinary file"),
    (stat.S_ISSOCK, "is a socket, not a file", "copy the image into an ordinary file"),
    (stat.S_ISCHR, "is a device, not a file", "copy the image into an ordinary file"),
    (stat.S_ISBLK, "is a device, not a file", "copy the image into an ordinary file"),
)


def quoted(path: str | Path) -> str:
    """The file's name for a message: quoted, with control characters escaped."""
    return repr(Path(path).name or str(path))


def expand_home(path: str | Path) -> Path:
    """The path with ~ or ~USER at its start replaced by a home folder; as it is where there is no such user."""
    return Path(os.path.expanduser(path))  # pathlib's raises RuntimeError for an unknown user


def short_line(text: str, limit: int = 160) -> str:
    """At most `limit` characters of a text of unknown origin, on one line and without control characters."""
    return clean_line(text, limit)


def read_file(path: str | Path) -> bytes:
    """All bytes of a regular file of at most `BYTE_CAP` bytes; raises LimnerError for anything else."""
    with open_file(path) as file:
        if os.fstat(file.fileno()).st_size > BYTE_CAP:
            raise too_large(path)
        data = file.read(BYTE_CAP + 1)
    if len(data) > BYTE_CAP:
        raise too_large(path)
    return data


@contextmanager
def open_file(path: str | Path) -> Generator[BinaryIO]:
    """A regular file of any size, opened for reading; raises LimnerError for anything else and for disk errors."""
    path = Path(path)
    check_file(path)
    try:
        # The path may have become a pipe since the check: O_NONBLOCK keeps open() from waiting for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            _regular(path, os.fstat(file.fileno()))
            yield file
    except OSError as error:
        raise file_error(path, error) from error


def check_file(path: Path) -> None:
    """Raise LimnerError for what is not a regular file, without opening it."""
    try:
        _regular(path, os.stat(path))
    except LimnerError:
        raise
    except (OSError, ValueError) as error:
        raise file_error(path, error) from error


def _regular(path: Path, status: os.stat_result) -> None:
    """Raise LimnerError for folders, pipes, sockets and devices."""
    for is_kind, problem, remedy in _KINDS:
        if is_kind(status.st_mode):
            raise LimnerError(f"{quoted(path)} {problem}", remedy)


def too_large(path: str | Path) -> LimnerError:
    return LimnerError(f"{quoted(path)} is larger than {BYTE_CAP // 2**20} MiB", "save a smaller copy of it")


def reading_problem(error: Exception, form: str) -> str:
    """Why a file of a form, such as "JSON", cannot be read, in a sentence; libraries' texts are for programmers."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return f"it is not a {form} file, or it is damaged"


def file_error(path: Path, error: OSError | ValueError) -> LimnerError:
    """The error for a file or folder that the system does not let us use."""
    name = quoted(path)
    if isinstance(error, PermissionError):
        return LimnerError(f"you have no permission to read {name}", f"allow it: chmod u+r {name}")
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return LimnerError(f"{name} is a link to a file that does not exist", "correct the link or remove it")
    if isinstance(error, FileNotFoundError):
        return LimnerError(f"{name} does not exist", "check the name")
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return LimnerError(f"{name} is a link to itself", "correct the link or remove it")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return LimnerError(f"{name} cannot be read ({short_line(reason)})", "check the name and the disk")
