"""Whether anyone wrote to the database: cheap enough to be asked a hundred times a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from limner.store.runs import Store

GLANCE, LOOK = 0.01, 0.1
"""Seconds between two questions: of SQLite, and of a server, which is asked for what is new itself."""
LONGEST = 0.5
"""Seconds after which to look anyhow, for what time alone changes is written by nobody."""


class ChangeWatcher:
    """What others wrote since it was last asked for. For one thread.

    SQLite counts the commits of other connections in memory that all of them share (`PRAGMA data_version`).
    """

    def __init__(self, store: Store) -> None:
        self._store, self._seen = store, -1
        self._connection: Any = None

    def wait(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Until there may be news."""
        until = time.monotonic() + LONGEST
        while not stop() and time.monotonic() < until:
            if not self._store.on_sqlite:
                time.sleep(LOOK)
                return
            if self._counted() != self._seen:
                self._seen = self._counted()
                return
            time.sleep(GLANCE)

    def _counted(self) -> int:
        if self._connection is None:
            self._connection = self._store.raw_connection()
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
