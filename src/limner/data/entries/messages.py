"""How many bytes the messages of an Arrow stream unpack to, as they announce, before any is unpacked.

Messages are headed by flatbuffers (Arrow columnar format, "Encapsulated message format").
"""

from __future__ import annotations

import struct
from typing import Any

_BIG_ENDIAN, _OLD_COMPRESSION = 1, b"ARROW:experimental_compression"
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
"""Kinds of messages."""


def unpacked_bytes(stream: Any) -> int:
    """The bytes that all compressed buffers of a stream announce; raises ValueError for what is not read at all."""
    import pyarrow as pa

    return sum(_announced(message) for message in pa.ipc.MessageReader.open_stream(stream))


def _announced(message: Any) -> int:
    head = bytes(message.metadata)
    if _OLD_COMPRESSION in head:
        raise ValueError("it is compressed as Arrow 0.17 did")
    root = _Table(head, struct.unpack_from("<I", head)[0])
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
                raise ValueError("a buffer announces no size")
    return found


class _Table:
    """A table of a flatbuffer, at a place in its bytes."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def _place(self, field: int) -> int | None:
        """Where a field is; None where the table has it not."""
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

    def table(self, field: int) -> _Table | None:
        place = self._place(field)
        return None if place is None else _Table(self._data, place + self._read("<I", place))

    def vector(self, form: str, field: int) -> list[tuple[int, ...]]:
        place = self._place(field)
        if place is None:
            return []
        at = place + self._read("<I", place)
        count = self._read("<I", at)
        items = self._data[at + 4 : at + 4 + count * struct.calcsize(form)]
        return list(struct.iter_unpack(form, items))
