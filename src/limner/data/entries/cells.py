"""Tables of parquet and Arrow files whose cells hold pictures, as Hugging Face datasets keep them."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...core.errors import LimnerError
from ..files import check_file, printable, shown

PICTURES = ("image", "picture", "img", "photo", "jpg", "png", "webp", "pixel_values", "bytes")
"""Names that columns of pictures have, the first of them before the others."""

MASKS = ("mask", "image_mask")
GROUP_CAP = 4 * 2**30
"""The largest column of one row group that is read at once, in bytes."""

_AT_ONCE = 256


class Cells:
    """A parquet file or an Arrow stream, in groups of rows.

    picture, mask: names of the columns that hold them, None where there is none. others: of the other columns, which
    are scalars.
    """

    def __init__(self, path: Path) -> None:
        check_file(path)
        self.path = path
        self._table = _table(path)
        schema = self._schema()
        kept = [field.name for field in schema if _holds_bytes(field.type)]
        self.mask = next((name for name in kept if name.lower() in MASKS), None)
        pictures = [name for name in kept if name != self.mask]
        named = (name for known in PICTURES for name in pictures if name.lower() == known)
        self.picture = next(named, pictures[0] if pictures else None)
        self.others = [field.name for field in schema if not _is_nested(field.type) and field.name not in kept]
        self._structs = {field.name for field in schema if _is_struct(field.type)}
        self._labels = _labels(schema.metadata)

    def _schema(self) -> Any:
        return self._table.schema_arrow if _is_parquet(self.path) else self._table.schema

    @property
    def columns(self) -> list[str]:
        return [field.name for field in self._schema()]

    @property
    def groups(self) -> int:
        return self._table.num_row_groups if _is_parquet(self.path) else len(self._table.to_batches())

    def rows(self, group: int) -> Iterator[tuple[str, bool, dict[str, object]]]:
        """The name that each row's picture has, "" for none, whether it has a mask, and the row's scalars; without the
        pictures' bytes.
        """
        with _explained(self.path):
            for batch in self._batches(group):
                called = self._called(batch)
                masked = batch.column(self.mask).is_valid().to_pylist() if self.mask else [False] * batch.num_rows
                texts = {name: batch.column(name).to_pylist() for name in self.others}
                for row in range(batch.num_rows):
                    yield (
                        called[row],
                        masked[row],
                        {it: named(values[row], self._labels.get(it)) for it, values in texts.items()},
                    )

    def _batches(self, group: int) -> Iterator[Any]:
        if not _is_parquet(self.path):
            batch = self._table.to_batches()[group]
            batch.validate(full=True)
            yield from (batch.slice(at, _AT_ONCE) for at in range(0, batch.num_rows, _AT_ONCE))
            return
        wanted = [*self.others, *([f"{self.picture}.path"] if self.picture in self._structs else [])]
        wanted += [self.mask] if self.mask else []
        if wanted:
            yield from self._table.iter_batches(_AT_ONCE, [group], wanted, use_threads=False)
            return
        import pyarrow as pa

        count = self._table.metadata.row_group(group).num_rows
        yield pa.record_batch({"": pa.nulls(count)})

    def _called(self, batch: Any) -> list[str]:
        if self.picture not in self._structs or self.picture not in batch.schema.names:
            return [""] * batch.num_rows
        column = batch.column(self.picture)
        if not any(field.name == "path" for field in column.type):
            return [""] * batch.num_rows
        return [path if isinstance(path, str) else "" for path in column.field("path").to_pylist()]


def named(value: object, names: Sequence[str] | None) -> object:
    """The name of a class instead of its number, where `names` tells it; any other value as it is."""
    if names is None or not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None


def cell(table: Path, stamp: str, group: int, row: int, column: str, name: str) -> bytes:
    """The bytes of a picture in a cell: of a struct its `bytes`, or the cell itself; `name` only names it in errors."""
    with _explained(table):
        found = _column(table, stamp, group, column, os.getpid())
        value = found[row] if row < len(found) else None
        if value is not None and _is_struct(value.type):
            value = value.get("bytes")
        data = None if value is None else value.as_py()
    if data is None:
        raise LimnerError(f"{shown(name)} is named in {shown(table)} without its bytes", "write the picture into it")
    return data if isinstance(data, bytes) else bytes(data)


@lru_cache(maxsize=2)
def _column(table: Path, stamp: str, group: int, column: str, process: int) -> Any:
    """One column of a group of rows, kept since the cells beside are wanted next."""
    opened = _table(table)
    if not _is_parquet(table):
        found = opened.to_batches()[group].column(column)
        found.validate(full=True)
        return found
    facts = opened.metadata.row_group(group)
    chunks = (facts.column(at) for at in range(facts.num_columns))
    size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] == column)
    if size > GROUP_CAP:
        raise LimnerError(
            f"a row group of {shown(table)} holds {size / 2**30:.0f} GiB of pictures",
            "write it anew with fewer rows to a group",
        )
    return opened.read_row_group(group, columns=[column], use_threads=False).column(column)


def _table(path: Path) -> Any:
    """A parquet file, or an Arrow stream that is mapped into memory, whose batches nothing has validated yet."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise LimnerError(f"to read {shown(path)} pyarrow is needed", "pip install 'limner[prepare]'") from error
    with _explained(path):
        if _is_parquet(path):
            return parquet.ParquetFile(path)
        with pa.memory_map(str(path)) as file:
            return pa.ipc.open_stream(file).read_all()


@contextmanager
def _explained(path: Path) -> Generator[None]:
    """Turn what pyarrow raises of a broken file into one line."""
    try:
        yield
    except LimnerError:
        raise
    except Exception as error:  # a hostile file makes it raise nearly anything
        raise LimnerError(
            f"{shown(path)} is damaged or unfinished ({printable(str(error))})", "copy it again"
        ) from error


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() != ".arrow"


def _is_struct(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_struct(kind)


def _is_nested(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_nested(kind) or _is_binary(kind) or isinstance(kind, pa.BaseExtensionType)


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _holds_bytes(kind: Any) -> bool:
    """Whether cells are bytes, or structs of bytes and a name."""
    return _is_binary(kind) or (_is_struct(kind) and any(it.name == "bytes" and _is_binary(it.type) for it in kind))


def _labels(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """The names of the classes of each column of classes, which `datasets` writes into the schema."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        found = {name: told.get("names") for name, told in features.items() if told.get("_type") == "ClassLabel"}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: names for name, names in found.items() if isinstance(names, list)}
