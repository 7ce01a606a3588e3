"""Limits on unpacking: a few bytes can unpack to very many, so what is read and what is kept are bounded."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

ZIP_METHODS = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
"""Methods that `zipfile` unpacks a bounded piece at a time; others it unpacks at once, as much as it has read."""
SAMPLE_BYTES = 128 * 2**20
"""The most that is unpacked of one sample: its pictures, masks and texts together."""
ARCHIVE_BYTES, RATIO = 4 * 2**30, 100
"""The most that an archive may unpack to: so much, or so many times its own size where that is more."""
DENSE = 4
"""What a table unpacks to at once is at most SAMPLE_BYTES, or so many times what was read for it where that is more."""
HELD_BYTES = 128 * 2**20
"""The most unpacked bytes of one request that wait to be looked at."""
HEADER_BYTES = 2**20
"""The most that may stand between two files of a tar archive: names, times and the like."""


def archive_bytes(archive: Path) -> int:
    """The most that an archive may unpack to."""
    return max(ARCHIVE_BYTES, RATIO * archive.stat().st_size)


class Metered(io.RawIOBase):
    """A file of which nothing is read beyond `until`, and never more than `most` bytes: it ends there by ValueError."""

    def __init__(self, file: Any, most: int, until: int) -> None:
        self._file, self._most, self.until = file, most, until

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._check(offset)
        return self._file.seek(offset, whence)

    def read(self, size: int = -1, /) -> bytes:
        self._check(self.tell() + max(size, 0))
        return self._file.read(size)

    def _check(self, end: int) -> None:
        if end > self._most:
            raise ValueError(f"it unpacks to more than {self._most:,} bytes")
        if end > self.until:
            raise ValueError(f"more than {HEADER_BYTES:,} bytes stand between two files")
