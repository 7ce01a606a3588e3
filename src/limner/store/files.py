"""Files that are whole or not there: content hashes, writing by rename, and disk errors in plain words."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from limner.core.errors import LimnerError
from limner.store.removal import discard, remove

MARKER = ".limner"
"""An empty file that marks a folder as ours, so that `writing_folder` may replace it. No part of the folder's hash."""

_TEMPORARY = ".limner-"
_STALE = 24 * 3600.0
MANY = 100
"""From so many files on they are flushed together."""

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
    errno.ENOENT: ("{path} does not exist", "check its name"),
}


@contextmanager
def translate_disk_errors(path: Path) -> Generator[None]:
    """Turn an error of the disk while working on `path` into a LimnerError that names the path and the remedy.

    safetensors reports such errors only in its text, as "... (os error 28)"; they are understood too.
    """
    try:
        yield
    except Exception as error:
        said = re.search(r"\(os error (\d+)\)", str(error))
        number = error.errno if isinstance(error, OSError) else int(said[1]) if said else None
        if number not in _REASONS:
            raise
        problem, remedy = _REASONS[number]
        raise LimnerError(problem.format(path=_at_fault(error, path)), remedy) from error


def _at_fault(error: Exception, path: Path) -> Path:
    """The file that the error itself names, unless it is a temporary one or no name at all; else `path`."""
    named = error.filename if isinstance(error, OSError) else None
    if not isinstance(named, str) or not named or any(part.startswith(_TEMPORARY) for part in Path(named).parts):
        return path
    return Path(named)


def make_folder(path: Path) -> Path:
    """The folder, created with its parents where it was missing."""
    with translate_disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes; for a folder, of the names and hashes of the files below it, in order of name."""
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
    """A temporary sibling to write; it takes the place of `path` when the block ends well, and goes when it fails.

    It has the suffix of `path`, for writers that tell the format from it. Raises LimnerError where the disk refuses.
    """
    make_folder(path.parent)
    temporary = _sibling(path)
    with translate_disk_errors(path):
        if _exists(path) and path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
        try:
            yield temporary
            _flush(temporary)
            os.replace(temporary, path)
            _flush(path.parent)
        finally:
            discard(temporary, path.parent)


def rename_over(file: Path, name: str) -> None:
    """Give a file another name in its folder, in place of a file that has it. Nothing waits for the disk."""
    os.replace(file, file.with_name(name))


def write_numbered(folder: Path, suffix: str, write: Callable[[Path], None]) -> Path:
    """Have `write` fill a file, and name it 0001, 0002 ...: one above the highest in the folder, never one in use.

    A number is claimed by a name that must be new, so that two programs may fill one folder. Raises LimnerError where
    the disk refuses.
    """
    make_folder(folder)
    temporary = _sibling(folder / f"new{suffix}")
    with translate_disk_errors(folder):
        try:
            write(temporary)
            _flush(temporary)
            numbers = [int(p.stem) for p in folder.glob(f"*{suffix}") if re.fullmatch(r"[0-9]{4,18}", p.stem)]
            number = max(numbers, default=0)
            while True:
                number += 1
                with suppress(FileExistsError):
                    _name_anew(temporary, path := folder / f"{number:04d}{suffix}")
                    _flush(folder)
                    return path
        finally:
            discard(temporary, folder)


def _name_anew(file: Path, path: Path) -> None:
    """Give a file a name; FileExistsError when it is taken. Disks without hard links hold the name by an empty file."""
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
    """Remove what killed programs left half-written in a folder a day ago or longer."""
    with suppress(OSError):
        for left in folder.glob(f"{_TEMPORARY}*"):
            if left.name.startswith(f"{_TEMPORARY}old-") or not re.match(r"[0-9a-f]{12}", left.name[len(_TEMPORARY) :]):
                continue
            if time.time() - left.lstat().st_mtime > _STALE:
                remove(left, folder)


def is_replaceable(folder: Path) -> bool:
    """Whether a folder is empty, or one that `writing_folder` wrote."""
    return (folder / MARKER).exists() or not any(folder.iterdir())


def check_replaceable(path: Path, may_replace: Callable[[Path], bool] = is_replaceable) -> None:
    """Refuse what `writing_folder` would not replace, before any work is done for it."""
    with translate_disk_errors(path):
        if _exists(path) and any(path.iterdir()) and not may_replace(path):
            raise _refused(path, may_replace)


def _refused(path: Path, may_replace: Callable[[Path], bool]) -> LimnerError:
    if may_replace is is_replaceable:
        return LimnerError(f"{path} holds files that Limner did not write", "choose a new or an empty folder")
    return already_exists(path)


def already_exists(path: Path) -> LimnerError:
    """The error for a result that would take the place of something else."""
    return LimnerError(f"{str(path)!r} exists already", "choose another --out, or move it away")


@contextmanager
def atomic_folder(path: Path, may_replace: Callable[[Path], bool] = is_replaceable) -> Generator[Path]:
    """A temporary sibling folder to fill; it takes the place of `path` when the block ends well, else it goes.

    may_replace: whether a folder with files in it may be replaced; any other is refused, also one that came to be
    while the block ran. When the machine stops between the two renames, the old folder is complete beside `path`, and
    `restore_folder` puts it back.
    """
    make_folder(path.parent)
    recover_folder(path)
    temporary = _sibling(path)
    with translate_disk_errors(path):
        check_replaceable(path, may_replace)
        temporary.mkdir()
        try:
            yield temporary
            (temporary / MARKER).touch()
            usual = (temporary / MARKER).stat().st_mode  # safetensors makes its files private
            items = [*temporary.rglob("*"), temporary]
            for item in items:
                if item.is_file():
                    item.chmod(usual)
            _flush_all(items)
            _put_folder(temporary, path, may_replace)
            _flush(path.parent)
        finally:
            discard(temporary, path.parent)
            recover_folder(path)


def _put_folder(temporary: Path, path: Path, may_replace: Callable[[Path], bool]) -> None:
    """Give a folder its name. What has the name is looked at once it has lost it, so that nothing comes in between."""
    old = _backup(path)
    if _exists(path):
        check_replaceable(path, may_replace)
        os.rename(path, old)
        if not old.is_dir() or (any(old.iterdir()) and not may_replace(old)):
            os.rename(old, path)
            raise _refused(path, may_replace)
        if not old.is_symlink():
            (old / MARKER).touch()  # by which `restore_folder` knows that it may go
    try:
        os.rename(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):  # somebody was faster
            raise _refused(path, may_replace) from error
        raise


@contextmanager
def atomic_folder_once(path: Path) -> Generator[Path]:
    """A temporary sibling folder to fill, for its owner's eyes; it becomes `path` unless there is something by then.

    So of several programs that begin at once, all end with the first one's folder.
    """
    make_folder(path.parent)
    temporary = _sibling(path)
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
    """Finish what a killed `writing_folder` left: the old folder comes back, or goes where the new one is in place."""
    old = _backup(path)
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


def _sibling(path: Path) -> Path:
    """A fresh short name beside `path`: short, so that it fits wherever the name of `path` does."""
    return path.with_name(f"{_TEMPORARY}{secrets.token_hex(6)}{path.suffix[:16]}")


def _backup(path: Path) -> Path:
    """Where the old folder waits during a replacement: the same name every time, so that it can be found again."""
    return path.with_name(f"{_TEMPORARY}old-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}")


def _exists(path: Path) -> bool:
    """Whether there is anything of this name; unlike `Path.exists`, a name that cannot be is an error."""
    with suppress(FileNotFoundError):
        path.lstat()
        return True
    return False


def _flush_all(paths: Sequence[Path]) -> None:
    """Have the disk keep files and folders; of many, by one call for all that waits, which is some hundred times
    faster than one for each.
    """
    if len(paths) > MANY and hasattr(os, "sync"):
        os.sync()
        return
    for path in paths:
        _flush(path)


def _flush(path: Path) -> None:
    """Have the disk keep a file or a folder's list of names. Windows can do that for files only."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
