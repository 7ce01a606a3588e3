"""Reads rows of a backup from lines of JSON, checks them, and inserts them into the database."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, TypeDecorator, bindparam, func, insert, select, text, update

from limner.core.errors import LimnerError
from limner.core.execution import split_fields
from limner.core.requests.request import digest_of
from limner.store.backup import TABLES
from limner.store.columns import check_row

BATCH = 500
BATCH_BYTES = 16 * 2**20
"""A batch of inserted rows has at most so many rows, and ends when its lines have so many bytes."""
MAX_VALUES = 2**20
"""The most values and containers in the JSON of one row; each takes far more memory than its bytes."""


def parse_row(table: Table, line: bytes) -> dict[str, Any]:
    """The values in a line by column. Raises LimnerError for a line that is no valid row of this table."""
    remedy = "it is damaged, or not a backup of Limner; use another one"
    try:
        if sum(map(line.count, (b",", b"[", b"{"))) > MAX_VALUES:
            raise ValueError("it holds too many values")
        values: dict[str, Any] = json.loads(line)
        row = {name: _value(table, name, value) for name, value in values.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LimnerError(f"the backup has a row of {table.name!r} that cannot be read", remedy) from error
    try:
        check_row(table, row)
    except ValueError as error:
        raise LimnerError(f"the backup has an invalid row: {error}", remedy) from error
    if table.name == "runs" and "execution" not in row and isinstance(row.get("request"), dict):  # an older version's
        row["request"], row["execution"] = split_fields(row["request"])
        row["digest"] = digest_of(row["request"])
    return row


def _value(table: Table, name: str, value: Any) -> Any:
    """The value of a column from JSON."""
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
    """Delete the rows of all tables."""
    for table in reversed(TABLES.values()):
        connection.execute(table.delete())


def insert_rows(connection: Connection, table: Table, lines: Iterable[bytes]) -> None:
    """Insert rows. References to rows of the same table are left empty, see `link_rows`."""
    own = self_references(table)
    for batch in _batches(table, lines):
        rows = [{column.name: row[column.name] for column in table.columns if column.name in row} for row in batch]
        connection.execute(insert(table), [row | {name: None for name in own if name in row} for row in rows])


def link_rows(connection: Connection, table: Table, lines: Iterable[bytes]) -> None:
    """Set the references to rows of the same table, after all of them are inserted."""
    own = self_references(table)
    (key,) = table.primary_key.columns
    linked = update(table).where(key == bindparam("row_key"))
    for batch in _batches(table, lines):
        rows = [{"row_key": row[key.name]} | {name: row.get(name) for name in own} for row in batch]
        if rows := [row for row in rows if any(row[name] is not None for name in own)]:
            connection.execute(linked, rows)


def self_references(table: Table) -> list[str]:
    """The columns of a table that refer to rows of the same table."""
    return [column.name for column in table.columns if any(key.column.table is table for key in column.foreign_keys)]


def _batches(table: Table, lines: Iterable[bytes]) -> Iterator[list[dict[str, Any]]]:
    """The rows in lines, in batches that fit into memory."""
    batch: list[dict[str, Any]] = []
    size = 0
    for line in lines:
        batch.append(parse_row(table, line))
        size += len(line)
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def advance_sequences(connection: Connection) -> None:
    """Make PostgreSQL number new rows above the inserted ones."""
    if connection.dialect.name != "postgresql":
        return
    for table in TABLES.values():
        column = table.autoincrement_column
        if column is not None:
            highest = connection.scalar(select(func.max(column)))
            if highest is not None:
                sequence = text("SELECT setval(pg_get_serial_sequence(:name, :column), :highest)")
                connection.execute(sequence, {"name": table.name, "column": column.name, "highest": highest})
