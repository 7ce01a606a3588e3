"""Transactions on the database, retries while it is unavailable, and waiting for what others write."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from limner.store import paths
from limner.store.database import DatabaseUnavailable, open_engine, sqlite_url, translate_database_errors

RETRY_SECONDS = 0.5
POLL_SQLITE, POLL_SERVER = 0.01, 0.1
"""Seconds between two polls. SQLite reports any change; of a server, the caller reads the rows after each poll."""
LONGEST_WAIT = 0.5
"""Seconds after which `wait` returns in any case: leases expire without a write."""
T = TypeVar("T")


class Database:
    """The database of one home. Safe to use from several threads and from several processes.

    url: of the database; by default $LIMNER_DATABASE, or SQLite in the home.
    """

    def __init__(self, home: Path | None = None, url: str | None = None) -> None:
        self.home = (home or paths.home()).absolute()
        self._engine = open_engine(url or os.environ.get("LIMNER_DATABASE") or sqlite_url(self.home))

    @contextmanager
    def session(self) -> Generator[Session]:
        """One transaction, committed when the block ends without an error."""
        with translate_database_errors(self._engine.url), Session(self._engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Generator[Session]:
        """One transaction that reads and then writes. No other writer comes between: SQLite locks the whole database,
        on PostgreSQL the caller locks rows.
        """
        with self.session() as session:
            if self.on_sqlite:
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session

    @contextmanager
    def snapshot(self) -> Generator[Connection]:
        """One transaction that only reads, and sees one moment whatever others write meanwhile."""
        with translate_database_errors(self._engine.url), self._engine.connect() as connection:
            if self.on_sqlite:
                connection.exec_driver_sql("BEGIN")
            else:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @property
    def on_sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return self._engine.dialect.name == "sqlite"

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that distinguish this database from others that use the same files."""
        return hashlib.sha256(self._engine.url.render_as_string(hide_password=True).encode()).hexdigest()[:16]

    def raw_connection(self) -> Any:
        """A new connection of the database's own driver, which the caller closes."""
        with translate_database_errors(self._engine.url):
            connection = self._engine.raw_connection()
            driver_connection = connection.driver_connection
            connection.detach()
            return driver_connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def retry_while_unavailable(action: Callable[[], T], seconds: float) -> T:
    """The result of `action`, retried for so many seconds while the database is unavailable.

    Raises DatabaseUnavailable after that time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return action()
        except DatabaseUnavailable:
            if time.monotonic() >= deadline:
                raise
            time.sleep(RETRY_SECONDS)


class ChangeWatcher:
    """Waits for what others write to the database. For one thread.

    Cheap enough to poll a hundred times a second: SQLite counts the commits of other connections in memory that all of
    them share (`PRAGMA data_version`).
    """

    def __init__(self, database: Database) -> None:
        self._database, self._version = database, -1
        self._connection: Any = None

    def wait(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Return when there may be changes, when `stop` returns True, or after LONGEST_WAIT."""
        deadline = time.monotonic() + LONGEST_WAIT
        while not stop() and time.monotonic() < deadline:
            if not self._database.on_sqlite:
                time.sleep(POLL_SERVER)
                return
            if self._data_version() != self._version:
                self._version = self._data_version()
                return
            time.sleep(POLL_SQLITE)

    def _data_version(self) -> int:
        if self._connection is None:
            self._connection = self._database.raw_connection()
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Close its connection."""
        if self._connection is not None:
            self._connection.close()
