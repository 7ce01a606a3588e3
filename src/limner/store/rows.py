"""Rows of any table as JSON that means the same to SQLite and to PostgreSQL, out of a database and into one."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, TypeDecorator, bindparam, func, insert, select, text, update

from limner.core.errors import LimnerError
from limner.core.execution import split_fields
from limner.core.requests.request import digest_of
from limner.store.tables import Base, check_row

TABLES = {table.name: table for table in Base.metadata.sorted_tables}
"""By name; those that others point at first."""
BATCH = 500
BATCH_BYTES = 16 * 2**20
"""Rows that are written at once: so many, or as soon as their lines have so many bytes."""
VALUES = 2**20
"""The most values, names and containers in the JSON of one row: each takes far more memory than its bytes."""


def rows_of(connection: Connection, table: Table) -> Iterator[bytes]:
    """The rows, a line of JSON each, in order of their keys."""
    found = connection.execution_options(yield_per=BATCH).execute(select(table).order_by(*table.primary_key))
    for row in found.mappings():
        told = {name: _plain(value) for name, value in row.items()}
        yield json.dumps(told, sort_keys=True).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return b64encode(value).decode() if isinstance(value, bytes) else value


def row_from(table: Table, line: bytes) -> dict[str, Any]:
    """The values of a line; raises LimnerError for one that is not a row of this table, or that no version writes."""
    remedy = "it is damaged, or no backup of Limner's; use another one"
    try:
        if sum(map(line.count, (b",", b"[", b"{"))) > VALUES:
            raise ValueError("it holds too many values")
        told: dict[str, Any] = json.loads(line)
        row = {name: _value(table, name, value) for name, value in told.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LimnerError(f"the backup has a row of {table.name!r} that cannot be read", remedy) from error
    try:
        check_row(table, row)
    except ValueError as error:
        raise LimnerError(f"the backup has a row that cannot be: {error}", remedy) from error
    if table.name == "runs" and "execution" not in row and isinstance(row.get("request"), dict):  # of an older version
        row["request"], row["execution"] = split_fields(row["request"])
        row["digest"] = digest_of(row["request"])
    return row


def _value(table: Table, name: str, value: Any) -> Any:
    kind: Any = table.columns[name].type
    kind = kind.impl_instance.python_type if isinstance(kind, TypeDecorator) else kind.python_type
    if value is None:
        return None
    if kind is datetime:
        return datetime.fromisoformat(value)
    if kind is float and type(value) is int:
        return float(value)
    return b64decode(value) if kind is bytes else value


def delete_all(connection: Connection) -> None:
    """Empty every table."""
    for table in reversed(TABLES.values()):
        connection.execute(table.delete())


def insert_rows(connection: Connection, table: Table, lines: Iterable[bytes]) -> None:
    """Write rows into a table. Those that point at rows of their own table point at none yet."""
    own = own_columns(table)
    for batch in _batches(table, lines):
        rows = [{column.name: row[column.name] for column in table.columns if column.name in row} for row in batch]
        connection.execute(insert(table), [row | {name: None for name in own if name in row} for row in rows])


def point_rows(connection: Connection, table: Table, lines: Iterable[bytes]) -> None:
    """Let rows point at rows of their own table, all of which are there now."""
    own = own_columns(table)
    (key,) = table.primary_key.columns
    pointed = update(table).where(key == bindparam("its_key"))
    for batch in _batches(table, lines):
        rows = [{"its_key": row[key.name]} | {name: row.get(name) for name in own} for row in batch]
        if rows := [row for row in rows if any(row[name] is not None for name in own)]:
            connection.execute(pointed, rows)


def own_columns(table: Table) -> list[str]:
    """The columns of a table that point at its own rows."""
    return [column.name for column in table.columns if any(key.column.table is table for key in column.foreign_keys)]


def _batches(table: Table, lines: Iterable[bytes]) -> Iterator[list[dict[str, Any]]]:
    """The rows of lines, so many at a time that they fit into memory."""
    batch: list[dict[str, Any]] = []
    size = 0
    for line in lines:
        batch.append(row_from(table, line))
        size += len(line)
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def count_on(connection: Connection) -> None:
    """Let PostgreSQL number new rows above those that were written with their numbers."""
    if connection.dialect.name != "postgresql":
        return
    for table in TABLES.values():
        column = table.autoincrement_column
        if column is not None:
            highest = connection.scalar(select(func.max(column)))
            if highest is not None:
                sequence = text("SELECT setval(pg_get_serial_sequence(:name, :column), :highest)")
                connection.execute(sequence, {"name": table.name, "column": column.name, "highest": highest})
