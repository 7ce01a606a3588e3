"""Deletes files and folders, only below a given root, and never through a link."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from limner.core.errors import LimnerError

_DESCENDS = shutil.rmtree.avoids_symlink_attacks
"""Whether the system opens names relative to an open folder, so that none can be replaced by a link meanwhile."""


class Outside(LimnerError):
    """What is to be deleted does not lie below the folder that it should be in."""


def remove(path: Path, below: Path) -> None:
    """Delete a file, a link, or a folder with its contents. A missing path is no error.

    Of a link only the link is deleted. Raises LimnerError if `path` is not below the folder `below`, or a folder
    between the two is a link; OSError for disk errors.
    """
    names = _names(path, below)
    with suppress(FileNotFoundError), _folder(below, names[:-1]) as (folder, place):
        name = names[-1] if folder is not None else str(place / names[-1])
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode) and not _is_junction(place / names[-1]):
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)


def discard(path: Path, below: Path) -> None:
    """Delete as `remove` does, but ignore disk errors."""
    with suppress(OSError):
        remove(path, below)


def _names(path: Path, below: Path) -> tuple[str, ...]:
    """The names of the folders and the file from `below` to a path. Raises LimnerError if it is not below."""
    with suppress(ValueError):
        names = path.absolute().relative_to(below.absolute()).parts
        if names and ".." not in names:
            return names
    raise _outside(path, below)


@contextmanager
def _folder(below: Path, names: tuple[str, ...]) -> Generator[tuple[int | None, Path]]:
    """The folder at the end of `names`: its path, and a descriptor if the system opens names relative to one."""
    if not _DESCENDS:
        for count in range(1, len(names) + 1):
            _check_folder(os.lstat(place := below.joinpath(*names[:count])).st_mode, place, below)
        yield None, below.joinpath(*names)
        return
    folder = os.open(below, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for count, name in enumerate(names, 1):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            _check_folder(status.st_mode, below.joinpath(*names[:count]), below)
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder, below.joinpath(*names)
    finally:
        os.close(folder)


def _check_folder(mode: int, place: Path, below: Path) -> None:
    if stat.S_ISLNK(mode) or _is_junction(place):
        raise _outside(place, below)


def _is_junction(place: Path) -> bool:
    """Whether a path is a junction, a folder link of Windows. Python before 3.12 cannot check it."""
    return os.name == "nt" and getattr(place, "is_junction", lambda: False)()


def _outside(path: Path, below: Path) -> Outside:
    return Outside(f"{str(path)!r} does not lie below {str(below)!r}, so it is not removed", "remove it by hand")
