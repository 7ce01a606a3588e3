"""Opens the database: SQLite settings, tables at the newest revision, and errors as LimnerError."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from limner.core.errors import LimnerError, Unavailable
from limner.store import paths

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0015"
"""The newest revision in `migrations`, repeated here because importing Alembic is slow."""

VERSION_TABLE = "alembic_version"
"""The table in which Alembic stores the revision."""

BUSY_SECONDS = 30.0
MIGRATION_LOCK = 7412
"""PostgreSQL advisory lock for which a migrating process waits."""

_SPACE = "free some disk space, or set LIMNER_HOME to a folder on another disk"
_RIGHTS = "change its permissions, or set LIMNER_HOME to another folder"
_RESTORE = "restore it from a backup, or move it away to start with an empty one"
_REASONS = {
    "SQLITE_NOTADB": ("the file {database} is not a database", _RESTORE),
    "SQLITE_CORRUPT": ("the database {database} is damaged", _RESTORE),
    "SQLITE_FULL": ("no space is left for the database {database}", _SPACE),
    "SQLITE_IOERR": ("the disk fails under the database {database}", _SPACE),
    "SQLITE_CANTOPEN": ("the database {database} cannot be opened", _RIGHTS),
    "SQLITE_READONLY": ("the database {database} cannot be written", _RIGHTS),
    "SQLITE_BUSY": ("another program keeps the database {database} busy", "wait for it or stop it, then try again"),
}


_TEMPORARY = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY")


class DatabaseUnavailable(Unavailable):
    """The database cannot be used now; a retry may succeed."""


def sqlite_url(home: Path) -> URL:
    """The URL of the SQLite database in a home."""
    return URL.create("sqlite", database=str(paths.database_file(home).absolute()))


def open_engine(url: str | URL | None = None) -> Engine:
    """An engine on a database with the tables of this version; they are created or migrated if needed.

    url: by default the SQLite file in Limner's home. Raises LimnerError for a damaged database, one that a newer
    version wrote, and an invalid URL.
    """
    engine = _engine(parse_url(url) if url else sqlite_url(paths.home()))
    try:
        with translate_database_errors(engine.url):
            with engine.connect() as connection:
                current = revision(connection)
            if current != HEAD:
                _upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def parse_url(url: str | URL) -> URL:
    """The parsed URL. The LimnerError for an invalid one does not quote it, because it may hold a password."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise LimnerError(
            "the database URL cannot be read", "write it as postgresql://user:password@host/name"
        ) from error
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in ("postgres", "postgresql") else parsed


@contextmanager
def translate_database_errors(url: URL) -> Generator[None]:
    """Translate errors of the database into a LimnerError that names the database and the remedy."""
    try:
        yield
    except DBAPIError as error:
        if url.get_backend_name() != "sqlite" and (error.connection_invalidated or is_unavailable(error)):
            message = str(error.orig).strip().splitlines()[0][:160]
            raise DatabaseUnavailable(
                f"the database {url.render_as_string()} cannot be used ({message})", "check that it runs, and its URL"
            ) from error
        name = str(getattr(error.orig, "sqlite_errorname", ""))
        reason = next((reason for start, reason in _REASONS.items() if name.startswith(start)), None)
        if reason is None:
            raise
        kind = DatabaseUnavailable if name.startswith(_TEMPORARY) else Unavailable
        raise kind(reason[0].format(database=url.database), reason[1]) from error


def is_unavailable(error: DBAPIError) -> bool:
    """Whether a server was not reachable or refused to serve: the error has no SQLSTATE, or one of these classes."""
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return isinstance(error, OperationalError) and (not state or state.startswith(("08", "28", "3D", "53", "57")))


def revision(connection: Connection) -> str | None:
    """The revision of the tables; None for an empty database."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))


def migrations(connection: Connection) -> Config:
    """Alembic's configuration for this connection and the transaction that is open on it."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def alembic_config(engine: Engine) -> Generator[Config]:
    """Alembic's configuration on a locked connection, in one transaction for the whole migration."""
    with _locked(engine) as connection:
        yield migrations(connection)


@contextmanager
def _locked(engine: Engine) -> Generator[Connection]:
    """A transaction that alone may change tables. A second process waits here and then finds the tables migrated.

    Foreign keys are off: SQLite changes a table by copying and dropping it, which would delete the rows that refer to
    it.
    """
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            yield connection
    finally:
        engine.dispose()  # the next connection has foreign keys on again


def _upgrade(engine: Engine) -> None:
    """Create the tables of an empty database, or migrate those of an older revision, in one transaction."""
    with _locked(engine) as connection:
        current = revision(connection)
        if current is None:
            _create(connection)
        elif current != HEAD:
            _migrate(connection, current)


def _create(connection: Connection) -> None:
    """Create all tables at the newest revision; several times faster than running every migration."""
    from limner.store.tables import Base

    number = Column("version_num", String(32), nullable=False)
    versions = Table(
        VERSION_TABLE, MetaData(), number, PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc")
    )
    versions.create(connection, checkfirst=True)  # exists in a database that was migrated down to nothing
    connection.execute(versions.insert().values(version_num=HEAD))
    Base.metadata.create_all(connection, checkfirst=False)


def _migrate(connection: Connection, current: str) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = migrations(connection)
    if current not in {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}:
        raise LimnerError(
            f"the database {connection.engine.url.render_as_string()} has revision {current!r}, "
            f"but this version of Limner knows none newer than {HEAD!r}",
            "update limner, or set LIMNER_HOME to another folder",
        )
    command.upgrade(config, "head")


def _engine(url: URL) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=url.get_backend_name() != "sqlite", json_deserializer=_read_json)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise LimnerError(
            f"no driver for {url.drivername!r} databases: {error}", "install it, or use sqlite"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _read_json(text: str) -> Any:
    """The value of a JSON text; None for invalid JSON, so that one damaged value does not hide the other rows."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _set_up_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    """Set up WAL (readers beside one writer), a wait instead of "database is locked", and foreign keys."""
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError as error:  # two processes on a new file: SQLite does not wait here
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
