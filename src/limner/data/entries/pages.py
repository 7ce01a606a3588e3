"""Sizes to which the pages of a parquet file unpack, as the page headers announce; a reader allocates as much.

The sums in the file's footer are checked by nothing. Each page begins with a PageHeader in Thrift's compact protocol.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGES = 2**16
"""The most pages of one column in a group of rows."""
_DEEP = 8
_NUMBERS, _I32, _BYTES, _LISTS, _MAP, _STRUCT = (4, 5, 6), 5, 8, (9, 10), 11, 12
_KIND, _UNPACKED, _PACKED = (1,), (2,), (3,)
_VALUES = {0: (5, 1), 3: (8, 1)}
"""Fields of a header with the number of values in its page, by the kind of page: data, and data of version 2."""
_ENCODING = {0: (5, 2), 3: (8, 4)}
_DELTA = 7
"""DELTA_BYTE_ARRAY: a value is stored as the length of the prefix that it shares with the one before, and the rest."""
_LASTING = "parquet-mr"
"""A writer whose pages may begin with a prefix of the last value of the page before (PARQUET-246)."""


def largest_pages(path: Path, metadata: Any, group: int, columns: Sequence[str]) -> list[tuple[int, int]]:
    """The unpacked and the packed size of the page of each column that unpacks largest. metadata: a FileMetaData.

    columns: names, which may be paths into structs. Raises ValueError for columns of lists, whose rows have any number
    of values, and for what is damaged.
    """
    facts, found, read = metadata.row_group(group), list[tuple[int, int]](), 0
    lasting = _LASTING in (metadata.created_by or "")
    if facts.num_rows == 0:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for at in range(facts.num_columns):
            chunk = facts.column(at)
            if not any(chunk.path_in_schema == name or chunk.path_in_schema.startswith(f"{name}.") for name in columns):
                continue
            if metadata.schema.column(at).max_repetition_level:
                raise ValueError(f"the column {chunk.path_in_schema!r} is one of lists")
            found.append(_largest(data, chunk, lasting))
            read += chunk.total_compressed_size
            if read > len(data):
                raise ValueError("its columns overlap")
    return found


def _largest(data: mmap.mmap, chunk: Any, lasting: bool) -> tuple[int, int]:
    at, largest, values, grown = chunk.data_page_offset, (0, 0), 0, (0, 0)
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < at:
        at = chunk.dictionary_page_offset
    end = at + chunk.total_compressed_size
    if not 0 < at <= end <= len(data):
        raise ValueError("a column leads out of the file")
    for _ in range(PAGES):
        if at >= end or values >= chunk.num_values:
            return largest
        header = _Header(data, at, end)
        if header.unpacked < 0 or not 0 <= header.packed <= end - header.at:
            raise ValueError("a page has no size")
        if lasting and header.delta:
            grown = grown[0] + header.unpacked, grown[1] + header.packed
        largest = max(largest, grown, (header.unpacked, header.packed))
        values, at = values + header.values, header.at + header.packed
    raise ValueError(f"a column has more than {PAGES:,} pages in a group of rows")


class _Header:
    """A PageHeader. unpacked, packed: sizes of its page, -1 where untold. values: how many the page holds. delta:
    whether as DELTA_BYTE_ARRAY. at: where the header ends.
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
            raise ValueError("a page's header is too deep")
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._number()
            self._value(head & 15, (*path, field))

    def _value(self, kind: int, path: tuple[int, ...], inside: bool = False) -> None:
        if kind in (1, 2):
            self.at += inside  # a boolean field is its type alone; in a list it takes a byte
        elif kind == 3:
            self.at += 1
        elif kind in _NUMBERS:
            number = self._number()
            if kind == _I32 and len(path) <= 2:  # the last of its kind counts, as for Thrift
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
            raise ValueError("a page's header is damaged")

    def _item(self, kind: int, path: tuple[int, ...]) -> None:
        if self.at >= self._end:
            raise ValueError("a page has no end")
        self._value(kind, (*path, -1), inside=True)
