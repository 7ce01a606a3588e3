"""Parquet and Arrow files whose cells contain images, in the layout of Hugging Face datasets."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.files import check_file, quoted, short_line
from limner.data.entries.unpacked_sizes import DENSE, SAMPLE_BYTES, arrow_unpacked_bytes, largest_page_sizes

IMAGES = ("image", "picture", "img", "photo", "jpg", "png", "webp", "pixel_values", "bytes")
"""Names of columns of images, in order of preference."""

MASKS = ("mask", "image_mask")
PATH_CAP = 1000
"""The longest file name in a cell, in characters."""

_AT_ONCE = 256
"""The most rows that are read at once."""


class ImageTable:
    """A Parquet file or an Arrow stream, read in row groups.

    image, mask: names of their columns, None if there is none. others: names of the other columns with scalars.
    """

    def __init__(self, path: Path) -> None:
        check_file(path)
        self.path = path
        self._table = _table(path)
        schema = self._schema
        kinds = {field.name: field.type for field in schema}
        kept = [field.name for field in schema if _holds_bytes(field.type)]
        self.mask = next((name for name in kept if name.lower() in MASKS), None)
        images = [name for name in kept if name != self.mask]
        named = (name for known in IMAGES for name in images if name.lower() == known)
        self.image = next(named, images[0] if images else None)
        self.others = [field.name for field in schema if _is_scalar(field.type) and field.name not in kept]
        self._named = self.image is not None and _has_path(kinds[self.image])
        self._nested_mask = self.mask is not None and _is_struct(kinds[self.mask])
        self._labels = _labels(schema.metadata)

    @property
    def _schema(self) -> Any:
        return self._table.schema_arrow if _is_parquet(self.path) else self._table[0]

    @property
    def columns(self) -> list[str]:
        return [field.name for field in self._schema]

    @property
    def groups(self) -> int:
        return self._table.num_row_groups if _is_parquet(self.path) else len(self._table[1])

    def rows(self, group: int) -> Iterator[tuple[str, bool, dict[str, object]]]:
        """File name of the image ("" for none), whether there is a mask, and scalars of each row; reads no images."""
        with _explained(self.path):
            for batch in self._batches(group):
                file_names = self._file_names(batch)
                masked = batch.column(self.mask).is_valid().to_pylist() if self.mask else [False] * batch.num_rows
                texts = {name: batch.column(name).to_pylist() for name in self.others}
                for row in range(batch.num_rows):
                    yield (
                        file_names[row],
                        masked[row],
                        {it: class_name(values[row], self._labels.get(it)) for it, values in texts.items()},
                    )

    def _batches(self, group: int) -> Iterator[Any]:
        import pyarrow as pa

        if not _is_parquet(self.path):
            batch = self._table[1][group]
            batch.validate(full=True)
            texts = [batch.column(name) for name in self.others]
            texts += [batch.column(self.image).field("path")] if self._named else []
            size = _rows_at_once(sum(map(_largest_value, texts)))
            yield from (batch.slice(at, size) for at in range(0, batch.num_rows, size))
            return
        wanted = [*self.others, *([f"{self.image}.path"] if self._named else [])]
        if self.mask is not None:
            wanted.append(f"{self.mask}.bytes" if self._nested_mask else self.mask)
        if wanted:
            yield from _batches(self.path, self._table, group, wanted)
            return
        count = self._table.metadata.row_group(group).num_rows
        for at in range(0, count, _AT_ONCE):
            yield pa.record_batch({"": pa.nulls(min(_AT_ONCE, count - at))})

    def _file_names(self, batch: Any) -> list[str]:
        if not self._named:
            return [""] * batch.num_rows
        paths = batch.column(self.image).field("path").to_pylist()
        return [path[-PATH_CAP:] if isinstance(path, str) else "" for path in paths]


class _ColumnCursor:
    """The cells of one column of a row group; a few neighbouring ones are in memory, because they are read next."""

    def __init__(self, begun: Callable[[], Iterator[Any]]) -> None:
        self._begun, self._lock = begun, threading.Lock()
        self._rest, self._first, self._held = begun(), 0, None

    def cell(self, row: int) -> Any:
        """A cell of the column; None if it has no such row."""
        with self._lock:
            if row < self._first:
                self._rest, self._first, self._held = self._begun(), 0, None
            while self._held is None or row >= self._first + len(self._held):
                self._first += 0 if self._held is None else len(self._held)
                self._held = None  # before the next ones are unpacked
                self._held = next(self._rest, None)
                if self._held is None:
                    self._rest, self._first = self._begun(), 0
                    return None
            return self._held[row - self._first]


def class_name(value: object, names: Sequence[str] | None) -> object:
    """The name of a class by its number; without `names`, and for other values, the value itself."""
    if names is None or not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None


def read_cell(table: Path, stamp: str, group: int, row: int, column: str, name: str) -> bytes:
    """The bytes of the image in a cell: the field `bytes` of a struct, or the cell itself. name: for messages."""
    with _explained(table):
        value = _column(table, stamp, group, column, os.getpid()).cell(row)
        if value is not None and _is_struct(value.type):
            value = value.get("bytes")
        data = None if value is None else value.as_py()
    if data is None:
        raise LimnerError(f"{quoted(name)} is named in {quoted(table)} without its bytes", "write the image into it")
    return data if isinstance(data, bytes) else bytes(data)


@lru_cache(maxsize=2)
def _column(table: Path, stamp: str, group: int, column: str, process: int) -> _ColumnCursor:
    """One column of a row group, cached because neighbouring cells are read next."""
    opened = _opened(table, stamp, process)
    if not _is_parquet(table):
        found = opened[1][group].column(column)
        found.validate(full=True)
        return _ColumnCursor(lambda: iter([found]))
    leaf = f"{column}.bytes" if _is_struct(opened.schema_arrow.field(column).type) else column
    return _ColumnCursor(lambda: (batch.column(column) for batch in _batches(table, opened, group, [leaf])))


def _batches(path: Path, table: Any, group: int, columns: list[str]) -> Iterator[Any]:
    """Columns of a row group of a Parquet file, in batches of rows that fit in memory whatever they contain.

    No value is larger than its page, although many rows may share one value of a dictionary.
    """
    sizes = largest_page_sizes(path, table.metadata, group, columns)
    unpacked, packed = (sum(size[at] for size in sizes) for at in (0, 1))
    _check_dense(path, unpacked, packed)
    yield from table.iter_batches(_rows_at_once(unpacked), [group], columns, use_threads=False)


def _check_dense(path: Path, unpacked: int, packed: int) -> None:
    """Raise LimnerError if a table unpacks to more than fits in memory."""
    if unpacked > max(SAMPLE_BYTES, DENSE * packed):
        raise LimnerError(
            f"{quoted(path)} unpacks {packed:,} bytes to {unpacked:,} at once",
            "write it again without compression, or with fewer rows per group",
        )


def _rows_at_once(largest: int) -> int:
    """The number of rows that are read at once. largest: the most bytes of one row."""
    return min(_AT_ONCE, max(1, SAMPLE_BYTES // max(1, largest)))


def _largest_value(column: Any) -> int:
    """The size of the largest text in an Arrow array; a small constant for numbers."""
    import pyarrow as pa
    from pyarrow import compute

    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    if pa.types.is_string_view(values.type):  # pyarrow cannot measure these
        return values.get_total_buffer_size()
    pc: Any = compute
    return pc.max(pc.binary_length(values)).as_py() or 0 if _is_text(values.type) else 16


@lru_cache(maxsize=2)
def _opened(table: Path, stamp: str, process: int) -> Any:
    """A table, opened once for all of its groups, which may be many."""
    return _table(table)


def _table(path: Path) -> Any:
    """A Parquet file, or the schema and batches of a memory-mapped Arrow stream, not yet validated."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise LimnerError(f"{quoted(path)} needs pyarrow, which is missing", "pip install 'limner[prepare]'") from error
    with _explained(path):
        if _is_parquet(path):
            return parquet.ParquetFile(path, pre_buffer=False)
        with pa.memory_map(str(path)) as file:
            _check_dense(path, arrow_unpacked_bytes(file), file.size())
            file.seek(0)
            read = pa.ipc.open_stream(file).read_all()
            return read.schema, read.to_batches()


@contextmanager
def _explained(path: Path) -> Generator[None]:
    """Turn the exceptions of pyarrow for a broken file into a LimnerError."""
    try:
        yield
    except LimnerError:
        raise
    except Exception as error:  # a hostile file makes it raise nearly anything
        raise LimnerError(
            f"{quoted(path)} is damaged or unfinished ({short_line(str(error))})", "copy it again"
        ) from error


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() != ".arrow"


def _is_struct(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_struct(kind)


def _is_scalar(kind: Any) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    plain = (pa.types.is_primitive, pa.types.is_boolean, pa.types.is_null, pa.types.is_decimal, _is_text)
    return any(check(kind) for check in plain)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _has_path(kind: Any) -> bool:
    """Whether cells are structs with a file name."""
    return _is_struct(kind) and any(it.name == "path" and _is_scalar(it.type) for it in kind)


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _holds_bytes(kind: Any) -> bool:
    """Whether cells are bytes, or structs with bytes."""
    return _is_binary(kind) or (_is_struct(kind) and any(it.name == "bytes" and _is_binary(it.type) for it in kind))


def _labels(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """The class names of each column of classes, which `datasets` writes into the schema."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        found = {name: kind.get("names") for name, kind in features.items() if kind.get("_type") == "ClassLabel"}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: names for name, names in found.items() if isinstance(names, list)}
