"""Atomic writing of files and folders by rename, content hashes, and disk errors as LimnerError."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from limner.core.disk import DISK_ERRORS, error_number
from limner.core.errors import LimnerError, Unavailable
from limner.store.removal import discard, remove

MARKER = ".limner"
"""An empty file in folders that Limner wrote, so that `atomic_folder` may replace them. Not part of a folder's hash."""

_TEMPORARY_PREFIX = ".limner-"
_STALE_SECONDS = 24 * 3600.0
SYNC_ABOVE = 100
"""More files than this are flushed by one call of sync."""

_FULL = ("no space is left to write {path}", "free some disk space, or choose a folder on another disk")
_DENIED = ("no permission to use {path}", "change its permissions, or choose another folder")
_NO_LOCKS = ("the disk of {path} knows no locks", "set LIMNER_HOME to a folder on a local disk")
_REASONS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.ENOLCK: _NO_LOCKS,
    errno.ENOSYS: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
    errno.EROFS: ("{path} is on a read-only disk", "choose a folder on another disk"),
    errno.ENOTDIR: ("{path} needs a folder where there is a file", "move that file away, or choose another folder"),
    errno.EEXIST: ("{path} should be a folder but is a file", "move that file away, or choose another folder"),
    errno.EISDIR: ("{path} should be a file but is a folder", "move that folder away, or choose another name"),
    errno.ENAMETOOLONG: ("the name {path} is too long", "choose a shorter name"),
    errno.EIO: ("{path} cannot be read or written", "check the disk, or use another one"),
    errno.ENOENT: ("{path} does not exist", "check its name"),
}


@contextmanager
def translate_disk_errors(path: Path) -> Generator[None]:
    """Translate disk errors while working on `path` into a LimnerError that names the path and the remedy.

    It is Unavailable where the disk is at fault, and not the name.
    """
    try:
        yield
    except Exception as error:
        number = error_number(error)
        if number not in _REASONS:
            raise
        problem, remedy = _REASONS[number]
        kind = Unavailable if number in DISK_ERRORS else LimnerError
        raise kind(problem.format(path=_failed_path(error, path)), remedy) from error


def _failed_path(error: Exception, path: Path) -> Path:
    """The path that the error names, unless it is a temporary file or missing; else `path`."""
    named = error.filename if isinstance(error, OSError) else None
    if not isinstance(named, str) or not named or any(part.startswith(_TEMPORARY_PREFIX) for part in Path(named).parts):
        return path
    return Path(named)


def make_folder(path: Path) -> Path:
    """The folder, created with its parents if missing."""
    with translate_disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes; for a folder, of the names and hashes of the files below it, ordered by name."""
    with translate_disk_errors(path):
        if not path.is_dir():
            return _sha256_of_file(path)
        total = hashlib.sha256()
        names = {os.fsencode(file.relative_to(path).as_posix()): file for file in path.rglob("*") if file.is_file()}
        for name, file in sorted(names.items()):
            if name != MARKER.encode():
                total.update(len(name).to_bytes(8, "big") + name + bytes.fromhex(_sha256_of_file(file)))
        return total.hexdigest()


@contextmanager
def atomic_file(path: Path) -> Generator[Path]:
    """A temporary file to write, which replaces `path` when the block succeeds and is deleted when it fails.

    It has the suffix of `path`, because some writers choose the format by it. Raises LimnerError for disk errors.
    """
    make_folder(path.parent)
    temporary = _temporary_path(path)
    with translate_disk_errors(path):
        _check_replaceable(path)
        try:
            yield temporary
            _flush(temporary)
            os.replace(temporary, path)
            _flush(path.parent)
        finally:
            discard(temporary, path.parent)


def _check_replaceable(path: Path) -> None:
    """Raise for a folder, and for a device, pipe or socket, which a rename would replace by a file."""
    if _exists(path):
        kind = stat.S_IFMT(path.lstat().st_mode)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
        if kind not in (stat.S_IFREG, stat.S_IFLNK):
            raise LimnerError(f"{str(path)!r} is no regular file", "choose another name")


def write_files(writers: Mapping[Path, Callable[[Path], object]]) -> None:
    """Write files, each whole or absent; many are flushed together, which is about a hundred times faster.

    writers: by the path of each file, what writes it to a temporary path. Raises LimnerError for disk errors.
    """
    folders = sorted({path.parent for path in writers})
    for folder in folders:
        make_folder(folder)
    temporaries = {path: _temporary_path(path) for path in writers}
    path = Path()
    try:
        for path, write in writers.items():
            with translate_disk_errors(path):
                _check_replaceable(path)
                write(temporaries[path])
        with translate_disk_errors(path):
            _flush_all([*temporaries.values()])  # before they have their names: a torn file never has one
            for path, temporary in temporaries.items():
                os.replace(temporary, path)
            _flush_all(folders)
    finally:
        for path, temporary in temporaries.items():
            discard(temporary, path.parent)


def rename_over(file: Path, name: str) -> None:
    """Rename a file within its folder, replacing any file with that name. Does not flush to the disk."""
    os.replace(file, file.with_name(name))


def write_numbered(folder: Path, suffix: str, write: Callable[[Path], None]) -> Path:
    """Write a file named 0001, 0002 ...: one above the highest number in the folder, never an existing name.

    write: fills the file at a path. Several programs may write into one folder, because the file is created under a
    name that must be new. Raises LimnerError for disk errors.
    """
    make_folder(folder)
    temporary = _temporary_path(folder / f"new{suffix}")
    with translate_disk_errors(folder):
        try:
            write(temporary)
            _flush(temporary)
            numbers = [int(p.stem) for p in folder.glob(f"*{suffix}") if re.fullmatch(r"[0-9]{4,18}", p.stem)]
            number = max(numbers, default=0)
            while True:
                number += 1
                with suppress(FileExistsError):
                    _rename_new(temporary, path := folder / f"{number:04d}{suffix}")
                    _flush(folder)
                    return path
        finally:
            discard(temporary, folder)


def _rename_new(file: Path, path: Path) -> None:
    """Rename a file; FileExistsError if the name is taken. Without hard links, an empty file claims the name first."""
    try:
        os.link(file, path)
    except FileExistsError:
        raise
    except OSError:
        path.touch(exist_ok=False)
        try:
            os.replace(file, path)
        except BaseException:
            discard(path, path.parent)
            raise


def remove_stale_temporaries(folder: Path) -> None:
    """Delete temporary files in a folder that are older than a day, which killed programs left."""
    with suppress(OSError):
        for left in folder.glob(f"{_TEMPORARY_PREFIX}*"):
            if left.name.startswith(f"{_TEMPORARY_PREFIX}old-") or not re.match(
                r"[0-9a-f]{12}", left.name[len(_TEMPORARY_PREFIX) :]
            ):
                continue
            if time.time() - left.lstat().st_mtime > _STALE_SECONDS:
                remove(left, folder)


def is_replaceable(folder: Path) -> bool:
    """Whether a folder is empty, or was written by `atomic_folder`."""
    return (folder / MARKER).exists() or not any(folder.iterdir())


def check_replaceable(path: Path, may_replace: Callable[[Path], bool] = is_replaceable) -> None:
    """Raise LimnerError now for a folder that `atomic_folder` would not replace later."""
    with translate_disk_errors(path):
        if _exists(path) and any(path.iterdir()) and not may_replace(path):
            raise _not_replaceable(path, may_replace)


def _not_replaceable(path: Path, may_replace: Callable[[Path], bool]) -> LimnerError:
    if may_replace is is_replaceable:
        return LimnerError(f"{path} holds files that Limner did not write", "choose a new or an empty folder")
    return already_exists(path)


def already_exists(path: Path) -> LimnerError:
    """The error for a result that would replace something else."""
    return LimnerError(f"{str(path)!r} exists already", "choose another --out, or move it away")


@contextmanager
def atomic_folder(path: Path, may_replace: Callable[[Path], bool] = is_replaceable) -> Generator[Path]:
    """A temporary folder to fill, which replaces `path` when the block succeeds and is deleted when it fails.

    may_replace: whether a folder that is not empty may be replaced. Raises LimnerError for any other, even if it was
    created while the block ran. If the machine stops between the two renames, the complete old folder lies beside
    `path`, and `recover_folder` puts it back.
    """
    make_folder(path.parent)
    recover_folder(path)
    temporary = _temporary_path(path)
    with translate_disk_errors(path):
        check_replaceable(path, may_replace)
        temporary.mkdir()
        try:
            yield temporary
            (temporary / MARKER).touch()
            mode = (temporary / MARKER).stat().st_mode  # safetensors makes its files private
            items = [*temporary.rglob("*"), temporary]
            for item in items:
                if item.is_file():
                    item.chmod(mode)
            _flush_all(items)
            _replace_folder(temporary, path, may_replace)
            _flush(path.parent)
        finally:
            discard(temporary, path.parent)
            recover_folder(path)


def _replace_folder(temporary: Path, path: Path, may_replace: Callable[[Path], bool]) -> None:
    """Rename a folder to `path`. An existing folder is checked after it was renamed, so that nothing can change it."""
    old = _old_path(path)
    if _exists(path):
        check_replaceable(path, may_replace)
        os.rename(path, old)
        if not old.is_dir() or (any(old.iterdir()) and not may_replace(old)):
            os.rename(old, path)
            raise _not_replaceable(path, may_replace)
        if not old.is_symlink():
            (old / MARKER).touch()  # so `recover_folder` may delete it
    try:
        os.rename(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):  # another program was faster
            raise _not_replaceable(path, may_replace) from error
        raise


@contextmanager
def atomic_folder_once(path: Path) -> Generator[Path]:
    """A temporary folder to fill, readable only by its owner. It becomes `path` unless `path` exists by then.

    If several programs start at once, all of them end up with the folder of the first.
    """
    make_folder(path.parent)
    temporary = _temporary_path(path)
    with translate_disk_errors(path):
        temporary.mkdir(mode=0o700)
        try:
            yield temporary
            for item in (*temporary.iterdir(), temporary):
                _flush(item)
            try:
                os.rename(temporary, path)
            except OSError:
                if not _exists(path):
                    raise
            _flush(path.parent)
        finally:
            discard(temporary, path.parent)


def recover_folder(path: Path) -> None:
    """Clean up after a killed `atomic_folder`: restore the old folder, or delete it if the new one is complete."""
    old = _old_path(path)
    with translate_disk_errors(path):
        if not _exists(old):
            return
        if not _exists(path):
            os.rename(old, path)
        elif old.is_symlink() or (old / MARKER).exists():
            remove(old, path.parent)


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _temporary_path(path: Path) -> Path:
    """A new short path beside `path`; short, so that it fits wherever the name of `path` does."""
    return path.with_name(f"{_TEMPORARY_PREFIX}{secrets.token_hex(6)}{path.suffix[:16]}")


def _old_path(path: Path) -> Path:
    """The path of the old folder during a replacement; always the same, so that it can be found after a crash."""
    return path.with_name(f"{_TEMPORARY_PREFIX}old-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}")


def _exists(path: Path) -> bool:
    """Whether there is anything at this path, a broken link too; unlike `Path.exists`, an invalid name is an error."""
    with suppress(FileNotFoundError):
        path.lstat()
        return True
    return False


def _flush_all(paths: Sequence[Path]) -> None:
    """Flush files and folders to the disk. Many are flushed by one call of sync, which is about a hundred times
    faster.
    """
    if len(paths) > SYNC_ABOVE and hasattr(os, "sync"):
        os.sync()
        return
    for path in paths:
        _flush(path)


def _flush(path: Path) -> None:
    """Flush a file or a folder's entries to the disk. Windows can flush files only."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
