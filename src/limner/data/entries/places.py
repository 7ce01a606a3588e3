"""Where the bytes of pictures are: small values that any process can be sent and read by itself."""

from __future__ import annotations

import hashlib
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from limner.core.datasets import Entry, Skipped, TrainingRefused
from limner.core.errors import LimnerError
from limner.core.files import BYTE_CAP, check_file, open_file, quoted, read_file, short_line, too_large
from limner.data.entries.cells import cell
from limner.fetch import fetch

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError, ValueError)
"""What a broken, hostile or encrypted archive makes zipfile raise; OSError besides."""


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file of its own."""

    path: Path

    @property
    def name(self) -> str:
        return legible(self.path.name)

    @property
    def stamp(self) -> str:
        return stamp(self.path)

    def read(self) -> bytes:
        return read_file(self.path)


@dataclass(frozen=True, slots=True)
class ZipPlace:
    """A member of a zip archive. crc, size: of its unpacked bytes, as the archive's directory tells."""

    archive: Path
    member: str
    crc: int
    size: int

    @property
    def name(self) -> str:
        return _last(self.member)

    @property
    def stamp(self) -> str:
        return f"{self.size}-{self.crc:08x}"

    def read(self) -> bytes:
        if self.size > BYTE_CAP:
            raise too_large(self.name)
        try:
            archive = zip_file(self.archive)
            if self.crc != archive.getinfo(self.member).CRC:
                raise LimnerError(f"{quoted(self.archive)} has changed since it was listed", "start again")
            with archive.open(self.member) as file:
                data = file.read(BYTE_CAP + 1)
        except LimnerError:
            raise
        except (*ZIP_ERRORS, KeyError, OSError) as error:
            raise LimnerError(
                f"{quoted(self.name)} cannot be unpacked from {quoted(self.archive)} ({short_line(str(error))})",
                "make the archive anew, without a password",
            ) from error
        if len(data) > BYTE_CAP:
            raise too_large(self.name)
        return data


@dataclass(frozen=True, slots=True)
class TarPlace:
    """A member of a tar archive that is not compressed. offset: of its first byte."""

    archive: Path
    offset: int
    size: int
    member: str

    @property
    def name(self) -> str:
        return _last(self.member)

    @property
    def stamp(self) -> str:
        return f"{stamp(self.archive)}-{self.offset}-{self.size}"

    def read(self) -> bytes:
        if self.size > BYTE_CAP:
            raise too_large(self.name)
        with open_file(self.archive) as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size:
            raise LimnerError(f"{quoted(self.archive)} ends within {quoted(self.name)}", "copy the archive again")
        return data


@dataclass(frozen=True, slots=True)
class CellPlace:
    """A cell of a table in a parquet or Arrow file, which holds a picture as `cells.cell` tells.

    group: number of the row group or record batch. row: number in it. called: the name that the cell gives it.
    """

    table: Path
    group: int
    row: int
    column: str
    called: str = ""

    @property
    def name(self) -> str:
        return _last(self.called) or f"row {self.row} of group {self.group} of {legible(self.table.name)}"

    @property
    def stamp(self) -> str:
        return f"{stamp(self.table)}-{self.group}-{self.row}-{self.column}"

    def read(self) -> bytes:
        check_file(self.table)
        data = cell(self.table, stamp(self.table), self.group, self.row, self.column, self.name)
        if len(data) > BYTE_CAP:
            raise too_large(self.name)
        return data


@dataclass(frozen=True, slots=True)
class UrlPlace:
    """What a public URL answers with, fetched anew each time."""

    url: str

    @property
    def name(self) -> str:
        return short_line(self.url.split("?")[0].split("#")[0].rstrip("/").rsplit("/", 1)[-1]) or "picture"

    @property
    def stamp(self) -> str:
        return hashlib.sha256(self.url.encode("utf-8", "backslashreplace")).hexdigest()[:16]

    def read(self) -> bytes:
        """The picture; Refused where the server says that it is not to be learnt from."""
        said: list[str] = []
        data = fetch(self.url, headed=lambda headers: said.extend(_refusals(headers)))
        if said:
            raise TrainingRefused(self.name, data, said[0])
        return data


def _refusals(headers: Mapping[str, str]) -> Iterator[str]:
    """The directives of X-Robots-Tag by which a server refuses training, of all agents or of one."""
    for name, value in headers.items():
        for directive in value.lower().split(",") if name.lower() == "x-robots-tag" else ():
            if directive.rpartition(":")[2].strip() in ("noai", "noimageai"):
                yield f"X-Robots-Tag: {directive.strip()}"


@dataclass(frozen=True, slots=True)
class BytesPlace:
    """Bytes that are at hand, since they can be read but once where they come from. name: of the file they were."""

    name: str
    data: bytes

    @property
    def stamp(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def read(self) -> bytes:
        if len(self.data) > BYTE_CAP:
            raise too_large(self.name)
        return self.data


@dataclass(frozen=True, slots=True)
class UnreadablePlace:
    """A file that could not be read, and why: reading it again fails in the same way."""

    name: str
    problem: str
    remedy: str
    stamp: str = "gone"

    def read(self) -> bytes:
        raise LimnerError(self.problem, self.remedy)


def held_bytes(item: Entry | Skipped) -> int:
    """How many bytes an entry holds in memory, since they can be read but once where they come from."""
    places = (item.place, item.mask) if isinstance(item, Entry) else ()
    return sum(len(place.data) for place in places if isinstance(place, BytesPlace))


def stamp(path: Path) -> str:
    """Size and time of a file; "gone" where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return "gone"
    return f"{status.st_size}-{status.st_mtime_ns}"


def legible(name: str) -> str:
    """A name with the bytes in it that are no UTF-8 written as "\\xff"."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def leads_out(member: str) -> bool:
    """Whether the name of an archive's member leads out of the folder that it would be unpacked into."""
    return member.startswith(("/", "\\")) or bool(re.match(r"[A-Za-z]:|(.*[/\\])?\.\.([/\\]|$)", member, re.DOTALL))


def zip_file(archive: Path) -> zipfile.ZipFile:
    """An open archive, one for many members: its directory may be long. Raises LimnerError, ZIP_ERRORS, OSError."""
    check_file(archive)
    return _zip_file(archive, stamp(archive), os.getpid())


@lru_cache(maxsize=4)
def _zip_file(archive: Path, stamp: str, process: int) -> zipfile.ZipFile:
    """A process of its own has a file of its own: those that fork share the place in the file where they read."""
    return zipfile.ZipFile(archive)


def _last(path: str) -> str:
    return legible(path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1])
