"""Column types and the base class of the tables, and the check that every row passes before it is inserted."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Dialect,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    event,
    inspect,
)
from sqlalchemy.orm import DeclarativeBase, Mapper

from limner.core.requests.request import digest_of
from limner.store import patterns


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC. SQLite drops the time zone, so it is added on reading; a time without a zone is an error."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"the time {value} has no time zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class PatternString(String):
    """A text that must match a pattern as a whole, which `check_row` checks."""

    def __init__(self, length: int, pattern: str = patterns.LINE) -> None:
        super().__init__(length)
        self.pattern = pattern


class Base(DeclarativeBase):
    """Base of all rows. Constraints have names, because a migration can change only what has a name."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
        }
    )


def check_row(table: Table, row: Mapping[str, Any]) -> None:
    """Raise ValueError for a value that its column cannot hold on every database, or that does not match its pattern.

    row: values by column name; columns that are left out are not checked.
    """
    for name, value in row.items():
        if problem := _problem(table.columns[name], value):
            raise ValueError(f"{name} of {table.name!r} is {value!r:.80}, which is {problem}")
    for name, value in row.items():
        hashed = row.get(table.columns[name].info.get("hash_of", ""))
        if hashed is not None and _hash(hashed) != value:
            raise ValueError(f"{name} of {table.name!r} is {value!r}, which is not the SHA-256 of its content")


def _hash(value: Any) -> str:
    """The SHA-256 of a text, or of the canonical JSON of anything else."""
    return hashlib.sha256(value.encode()).hexdigest() if isinstance(value, str) else digest_of(value)


def _problem(column: Column[Any], value: Any) -> str | None:
    """What is wrong with the value of a column; None if it is valid."""
    kind = column.type
    if value is None:
        return None if column.nullable else "missing"
    if isinstance(kind, String):
        return _text_problem(kind, value)
    if isinstance(kind, JSON):
        wanted: type = column.info.get("json_type", dict)
        return _json_problem(column, value) if isinstance(value, wanted) else f"no {wanted.__name__}"
    if isinstance(kind, UtcDateTime):
        return None if isinstance(value, datetime) and value.tzinfo is not None else "no time with a time zone"
    if type(value) is not kind.python_type:
        return f"no {kind.python_type.__name__}"
    if isinstance(kind, Integer):
        bits = 63 if isinstance(kind, BigInteger) else 31
        return None if -(2**bits) <= value < 2**bits else "too large"
    if isinstance(kind, Float):
        return None if math.isfinite(value) else "not finite"
    return None


def _json_problem(column: Column[Any], value: Any) -> str | None:
    for key, pattern in column.info.get("patterns", {}).items():
        text = value.get(key, None)
        if text is not None and not (isinstance(text, str) and re.fullmatch(pattern, text)):
            return f"invalid in {key}"
    return None


def _text_problem(kind: String, value: Any) -> str | None:
    if not isinstance(value, str):
        return "no text"
    if kind.length is not None and len(value) > kind.length:
        return f"longer than {kind.length} characters"
    if re.search(r"[\x00\ud800-\udfff]", value):
        return "not storable on every database (NUL or a surrogate)"
    if isinstance(kind, PatternString) and re.fullmatch(kind.pattern, value) is None:
        return "not in the format of this column"
    return None


@event.listens_for(Base, "before_insert", propagate=True)
def _check_insert(mapper: Mapper[Any], connection: Connection, row: Base) -> None:
    columns = {column.name for column in row.__table__.columns}
    check_row(
        Base.metadata.tables[row.__tablename__],
        {name: value for name, value in inspect(row).dict.items() if name in columns},
    )
