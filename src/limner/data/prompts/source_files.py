"""The files of a source: those of a folder by their kinds, one file, or a dataset of the hub."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.files import file_error, open_file, quoted
from limner.data.entries.references import HUB_ID, local_path
from limner.data.prompts.tables import is_part, is_table
from limner.imaging.formats import SUFFIXES

MAX_FILES = 2_000_000
"""The most files of a folder."""
VERSION = 1
"""Of the readers: a source is read anew where an older one read it."""
_HEAD = 64 * 2**10
"""Bytes at the beginning of a table by which another file with its size and time is told from it."""


class FileKind(Enum):
    """What a file is read as. Of a folder, the kinds are read in this order: what a table says of an image counts."""

    TABLE = "table"
    PART = "part"
    IMAGE = "image"
    HUB = "hub"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source. name: within the source. stamp: another one for another content, or other columns.

    problem: why it cannot be read. It has no kind where it is not known what is missing: a folder.
    """

    name: str
    path: Path
    kind: FileKind | None
    stamp: str = ""
    problem: str = ""


def source_files(source: str, columns: Mapping[str, str]) -> Iterator[SourceFile]:
    """The files of a source, tables first. Links below it are not followed, since they may lead out of it.

    Raises LimnerError for a source that cannot be read at all.
    """
    path = local_path(source).absolute()
    if path.is_dir():
        yield from _files(path, columns)
    elif os.path.lexists(path):
        kind = _kind(path.name)
        if kind is None:
            remedy = "give a CSV, TSV, JSONL or parquet file, an image, or a folder"
            raise LimnerError(f"{quoted(path)} is no table and no image", remedy)
        yield SourceFile(path.name, path, kind, _stamp(path, kind, columns))
    elif HUB_ID.fullmatch(source) and _kind(path.name) is None:
        yield SourceFile(source, Path(), FileKind.HUB, _reading(columns))
    else:
        raise LimnerError(f"{source[:200]!r} does not exist", "give a file, a folder, or OWNER/NAME of a dataset")


def _files(folder: Path, columns: Mapping[str, str]) -> Iterator[SourceFile]:
    count = 0
    for _, name, kind, _ in _walk(folder):
        count += bool(name and kind)
        if count > MAX_FILES:
            raise LimnerError(f"{quoted(folder)} has more than {MAX_FILES:,} files", "add its parts one by one")
    if not count:
        raise LimnerError(f"{quoted(folder)} has neither tables nor images", "choose another folder")
    for wanted in (FileKind.TABLE, FileKind.PART, FileKind.IMAGE):
        for below, name, kind, problem in _walk(folder):
            shown = f"{below}{name}".encode("utf-8", "replace").decode()
            path = folder / below / name
            if kind is None and wanted is FileKind.TABLE:
                yield SourceFile(shown or folder.name, path, None, problem=problem)
            if kind is wanted:
                problem = problem or ("" if shown == f"{below}{name}" else "its name is not UTF-8; rename it")
                yield _stamped(SourceFile(shown, path, wanted, problem=problem), wanted, columns)


def _stamped(file: SourceFile, kind: FileKind, columns: Mapping[str, str]) -> SourceFile:
    """A file with its stamp, or with the problem that it cannot be read."""
    if file.problem:
        return file
    try:
        return replace(file, stamp=_stamp(file.path, kind, columns))
    except LimnerError as error:
        return replace(file, problem=str(error))


def _walk(folder: Path) -> Iterator[tuple[str, str, FileKind | None, str]]:
    """Folder below (ending in "/"), name, kind and problem of each file, folder by folder, in the order of their names.

    A folder that cannot be read has no kind.
    """
    ahead = [""]
    while ahead:
        below = ahead.pop()
        folders, files, others = list[str](), list[str](), set[str]()
        try:
            with os.scandir(folder / below) as found:
                for each in found:
                    if each.name.startswith("."):
                        continue
                    if each.is_dir(follow_symlinks=False):
                        folders.append(each.name)
                    elif each.is_symlink() or _kind(each.name) is not None:
                        files.append(each.name)
                        if not each.is_file(follow_symlinks=False):
                            others.add(each.name)
        except (OSError, ValueError) as error:
            problem = str(file_error(folder / below, error))
            yield below.rstrip("/"), "", None, problem
            continue
        for name in sorted(files):
            kind = _kind(name)
            if name in others and kind is None and (folder / below / name).is_dir():
                kind = FileKind.TABLE  # a link to a folder: whatever is in it is missing
            problem = "it is a link or no regular file; copy what it stands for here" if name in others else ""
            if kind is not None:
                yield below, name, kind, problem
        ahead += [f"{below}{name}/" for name in sorted(folders, reverse=True)]


def _kind(name: str) -> FileKind | None:
    if is_part(name):
        return FileKind.PART
    if is_table(name):
        return FileKind.TABLE
    return FileKind.IMAGE if os.path.splitext(name)[1].lower() in SUFFIXES else None


def _stamp(path: Path, kind: FileKind, columns: Mapping[str, str]) -> str:
    """Size, time, and beginning of a file, and how it is read."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise file_error(path, error) from error
    stamp = f"{found.st_size} {found.st_mtime_ns}"
    if kind is FileKind.IMAGE:
        return f"{VERSION} {stamp}"
    with open_file(path) as file:
        return f"{stamp} {hashlib.sha256(file.read(_HEAD)).hexdigest()[:16]} {_reading(columns)}"


def _reading(columns: Mapping[str, str]) -> str:
    return f"{VERSION} {json.dumps(columns, sort_keys=True)}" if columns else str(VERSION)
