"""Where the bytes of images are: small values that can be sent to any process and read there."""

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
from limner.fetch import fetch

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError, ValueError)
"""What zipfile raises for broken, hostile or encrypted archives, besides OSError."""


@dataclass(frozen=True, slots=True)
class FileBytes:
    """A file on disk."""

    path: Path

    @property
    def name(self) -> str:
        return escaped_name(self.path.name)

    @property
    def stamp(self) -> str:
        return stamp(self.path)

    def read(self) -> bytes:
        return read_file(self.path)


@dataclass(frozen=True, slots=True)
class ZipBytes:
    """A member of a zip archive. crc, size: of its unpacked bytes, by the directory of the archive."""

    archive: Path
    member: str
    crc: int
    size: int

    @property
    def name(self) -> str:
        return last_part(self.member)

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
                "create the archive again, without a password",
            ) from error
        if len(data) > BYTE_CAP:
            raise too_large(self.name)
        return data


@dataclass(frozen=True, slots=True)
class TarBytes:
    """A member of an uncompressed tar archive. offset: of its first byte."""

    archive: Path
    offset: int
    size: int
    member: str

    @property
    def name(self) -> str:
        return last_part(self.member)

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
class UrlBytes:
    """The response of a public URL, fetched each time."""

    url: str

    @property
    def name(self) -> str:
        return short_line(self.url.split("?")[0].split("#")[0].rstrip("/").rsplit("/", 1)[-1]) or "image"

    @property
    def stamp(self) -> str:
        return hashlib.sha256(self.url.encode("utf-8", "backslashreplace")).hexdigest()[:16]

    def read(self) -> bytes:
        """The image. If the server does not allow training, raises an error that has the bytes."""
        said: list[str] = []
        data = fetch(self.url, headed=lambda headers: said.extend(_refusals(headers)))
        if said:
            raise TrainingRefused(self.name, data, said[0])
        return data


def _refusals(headers: Mapping[str, str]) -> Iterator[str]:
    """The directives of X-Robots-Tag that refuse training, for all agents or one."""
    for name, value in headers.items():
        for directive in value.lower().split(",") if name.lower() == "x-robots-tag" else ():
            if directive.rpartition(":")[2].strip() in ("noai", "noimageai"):
                yield f"X-Robots-Tag: {directive.strip()}"


@dataclass(frozen=True, slots=True)
class BytesInMemory:
    """Bytes in memory, because they can be read only once from their source. name: of their file."""

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
class UnreadableBytes:
    """A file that could not be read; reading it again raises the same error."""

    name: str
    problem: str
    remedy: str
    stamp: str = "gone"

    def read(self) -> bytes:
        raise LimnerError(self.problem, self.remedy)


def held_bytes(item: Entry | Skipped) -> int:
    """The number of bytes that an entry keeps in memory (`BytesInMemory`)."""
    places = (item.data, item.mask) if isinstance(item, Entry) else ()
    return sum(len(place.data) for place in places if isinstance(place, BytesInMemory))


def stamp(path: Path) -> str:
    """Size and time of a file; "gone" if it does not exist."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return "gone"
    return f"{status.st_size}-{status.st_mtime_ns}"


def escaped_name(name: str) -> str:
    """A file name with bytes that are not UTF-8 written as "\\xff"."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_outside_archive(member: str) -> bool:
    """Whether a member of an archive would be unpacked outside the target folder."""
    return member.startswith(("/", "\\")) or bool(re.match(r"[A-Za-z]:|(.*[/\\])?\.\.([/\\]|$)", member, re.DOTALL))


def zip_file(archive: Path) -> zipfile.ZipFile:
    """An open archive, cached because its directory may be long. Raises LimnerError, ZIP_ERRORS, OSError."""
    check_file(archive)
    return _zip_file(archive, stamp(archive), os.getpid())


@lru_cache(maxsize=4)
def _zip_file(archive: Path, stamp: str, process: int) -> zipfile.ZipFile:
    """Cached per process, because forked processes share the position in an open file."""
    return zipfile.ZipFile(archive)


def last_part(path: str) -> str:
    """The last component of a path in an archive or table."""
    return escaped_name(path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1])
