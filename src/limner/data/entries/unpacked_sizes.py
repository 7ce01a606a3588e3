"""How much files unpack to: limits, and the sizes that Parquet pages and Arrow messages declare.

A few bytes can unpack to very many, so what is read and what is kept in memory are bounded. Sizes are checked before
anything is unpacked. The sums in the footer of a Parquet file are not verified by readers, but each page begins with a
PageHeader in Thrift's compact protocol. Messages of an Arrow stream begin with flatbuffers (Arrow columnar format,
"Encapsulated message format").
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ZIP_METHODS = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
"""Compression methods that `zipfile` unpacks in bounded pieces; it unpacks others as a whole."""
SAMPLE_BYTES = 128 * 2**20
"""The most that is unpacked for one sample: its images, masks and texts together."""
ARCHIVE_BYTES, RATIO = 4 * 2**30, 100
"""The most that an archive may unpack to: this size, or this many times its own size if that is more."""
DENSE = 4
"""A table may unpack at once to SAMPLE_BYTES, or to this many times what was read for it if that is more."""
HELD_BYTES = 128 * 2**20
"""The most unpacked bytes of one request that wait to be processed."""
HEADER_BYTES = 2**20
"""The most bytes between two files of a tar archive: names, times and the like."""

PAGES = 2**16
"""The most pages of one column in a row group."""
_DEEP = 8
_NUMBERS, _I32, _BYTES, _LISTS, _MAP, _STRUCT = (4, 5, 6), 5, 8, (9, 10), 11, 12
_KIND, _UNPACKED, _PACKED = (1,), (2,), (3,)
_VALUES = {0: (5, 1), 3: (8, 1)}
"""Path of the field with the number of values, by the kind of page: data, and data of version 2."""
_ENCODING = {0: (5, 2), 3: (8, 4)}
_DELTA = 7
"""DELTA_BYTE_ARRAY: a value is stored as the length of the prefix that it shares with the one before, and the rest."""
_CONTINUING = "parquet-mr"
"""A writer whose pages may begin with a prefix of the last value of the previous page (PARQUET-246)."""

_BIG_ENDIAN, _OLD_COMPRESSION = 1, b"ARROW:experimental_compression"
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
"""Types of messages."""


def archive_bytes(archive: Path) -> int:
    """The most bytes that an archive may unpack to."""
    return max(ARCHIVE_BYTES, RATIO * archive.stat().st_size)


class LimitedReader(io.RawIOBase):
    """A file that raises ValueError when it is read beyond `until`, or beyond `most` bytes."""

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


def largest_page_sizes(
    path: Path, metadata: Any, group: int, columns: Sequence[str], most_items: int = 0
) -> list[tuple[int, int]]:
    """The unpacked and packed size of the largest page of each column.

    metadata: a FileMetaData. columns: names, or paths into structs. most_items: the most items of all lists of a
    column. Raises ValueError for columns of lists with more, because a row may have any number, and for damaged files.
    """
    row_group, found, read = metadata.row_group(group), list[tuple[int, int]](), 0
    continuing = _CONTINUING in (metadata.created_by or "")
    if row_group.num_rows == 0:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for at in range(row_group.num_columns):
            chunk = row_group.column(at)
            if not any(chunk.path_in_schema == name or chunk.path_in_schema.startswith(f"{name}.") for name in columns):
                continue
            lists = metadata.schema.column(at).max_repetition_level
            if lists and not most_items:
                raise ValueError(f"the column {chunk.path_in_schema!r} contains lists")
            *sizes, values = _largest_page(data, chunk, continuing)
            if lists and values > most_items:
                raise ValueError(f"the lists of the column {chunk.path_in_schema!r} are too long")
            found.append((sizes[0], sizes[1]))
            read += chunk.total_compressed_size
            if read > len(data):
                raise ValueError("its columns overlap")
    return found


def _largest_page(data: mmap.mmap, chunk: Any, continuing: bool) -> tuple[int, int, int]:
    """Unpacked and packed size of the largest page of a column chunk, and how many values its pages have."""
    at, largest, values, grown = chunk.data_page_offset, (0, 0), 0, (0, 0)
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < at:
        at = chunk.dictionary_page_offset
    end = at + chunk.total_compressed_size
    if not 0 < at <= end <= len(data):
        raise ValueError("a column is outside the file")
    for _ in range(PAGES):
        if at >= end or values >= chunk.num_values:
            return *largest, values
        header = _PageHeader(data, at, end)
        if header.unpacked < 0 or not 0 <= header.packed <= end - header.at:
            raise ValueError("a page has no size")
        if continuing and header.delta:
            grown = grown[0] + header.unpacked, grown[1] + header.packed
        largest = max(largest, grown, (header.unpacked, header.packed))
        values, at = values + header.values, header.at + header.packed
    raise ValueError(f"a column has more than {PAGES:,} pages in a row group")


class _PageHeader:
    """A parsed PageHeader.

    unpacked, packed: sizes of its page, -1 if not declared. values: their number. delta: whether they are encoded as
    DELTA_BYTE_ARRAY. at: the end of the header.
    """

    def __init__(self, data: mmap.mmap, at: int, end: int) -> None:
        self._data, self.at, self._end = data, at, end
        self._found: dict[tuple[int, ...], int] = {}
        self._struct(())
        self.unpacked, self.packed = self._found.get(_UNPACKED, -1), self._found.get(_PACKED, -1)
        kind = self._found.get(_KIND, -1)
        self.values = max(0, self._found.get(_VALUES.get(kind, ()), 0))
        self.delta = self._found.get(_ENCODING.get(kind, ())) == _DELTA

    def _byte(self) -> int:
        if self.at >= self._end:
            raise ValueError("a page has no end")
        self.at += 1
        return self._data[self.at - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number has no end")

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _struct(self, path: tuple[int, ...]) -> None:
        if len(path) > _DEEP:
            raise ValueError("a page header is nested too deeply")
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._number()
            self._value(head & 15, (*path, field))

    def _value(self, kind: int, path: tuple[int, ...], inside: bool = False) -> None:
        if kind in (1, 2):
            self.at += inside  # a boolean field is in its type; in a list it is a byte
        elif kind == 3:
            self.at += 1
        elif kind in _NUMBERS:
            number = self._number()
            if kind == _I32 and len(path) <= 2:  # the last one counts, as in Thrift
                self._found[path] = (number + 2**31) % 2**32 - 2**31
        elif kind == 7:
            self.at += 8
        elif kind == _BYTES:
            length = self._varint()
            self.at += length
        elif kind in _LISTS:
            head = self._byte()
            for _ in range(self._varint() if head >> 4 == 15 else head >> 4):
                self._item(head & 15, path)
        elif kind == _MAP:
            if count := self._varint():
                kinds = self._byte()
                for _ in range(count):
                    self._item(kinds >> 4, path)
                    self._item(kinds & 15, path)
        elif kind == _STRUCT:
            self._struct(path)
        else:
            raise ValueError("a page header is damaged")

    def _item(self, kind: int, path: tuple[int, ...]) -> None:
        if self.at >= self._end:
            raise ValueError("a page has no end")
        self._value(kind, (*path, -1), inside=True)


def arrow_unpacked_bytes(stream: Any) -> int:
    """The unpacked size that all compressed buffers of an Arrow stream declare.

    Raises ValueError for streams that are not supported or damaged.
    """
    import pyarrow as pa

    return sum(_declared_bytes(message) for message in pa.ipc.MessageReader.open_stream(stream))


def _declared_bytes(message: Any) -> int:
    head = bytes(message.metadata)
    if _OLD_COMPRESSION in head:
        raise ValueError("it is compressed in the way of Arrow 0.17")
    root = _FlatTable(head, struct.unpack_from("<I", head)[0])
    kind, table = root.number("<B", 1), root.table(2)
    if table is None:
        return 0
    if kind == _SCHEMA and table.number("<h", 0) == _BIG_ENDIAN:
        raise ValueError("its numbers are big-endian")
    batch = table.table(1) if kind == _DICTIONARY else table
    if kind not in (_DICTIONARY, _BATCH) or batch is None or batch.table(3) is None:
        return 0
    found = 0
    for offset, length in batch.vector("<qq", 2):
        if length:
            (size,) = struct.unpack_from("<q", message.body, offset)
            found += length if size == -1 else size
            if size < -1:
                raise ValueError("a buffer declares no size")
    return found


class _FlatTable:
    """A table of a flatbuffer at an offset."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def _place(self, field: int) -> int | None:
        """The offset of a field; None if the table does not have it."""
        vtable = self._at - self._read("<i", self._at)
        entry = 4 + 2 * field
        offset = self._read("<H", vtable + entry) if entry < self._read("<H", vtable) else 0
        return self._at + offset if offset else None

    def _read(self, form: str, at: int) -> int:
        if at < 0:
            raise ValueError("a message is damaged")
        return struct.unpack_from(form, self._data, at)[0]

    def number(self, form: str, field: int) -> int:
        place = self._place(field)
        return 0 if place is None else self._read(form, place)

    def table(self, field: int) -> _FlatTable | None:
        place = self._place(field)
        return None if place is None else _FlatTable(self._data, place + self._read("<I", place))

    def vector(self, form: str, field: int) -> list[tuple[int, ...]]:
        place = self._place(field)
        if place is None:
            return []
        at = place + self._read("<I", place)
        count = self._read("<I", at)
        items = self._data[at + 4 : at + 4 + count * struct.calcsize(form)]
        return list(struct.iter_unpack(form, items))
