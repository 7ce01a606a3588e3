"""A crew of processes on this machine, by loky."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from typing import Any

from limner.core.errors import LimnerError
from limner.engine.prepare.pool import Answer, Dead, each

IDLE = 20
"""Seconds after which processes end that have nothing to do; another dataset may follow."""
REMEDY = "pip install 'limner[prepare]'"


def _deaf() -> None:
    """Ctrl-C in a terminal goes to all processes; the one that asks for work decides what becomes of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Processes:
    """A crew of processes on this machine."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool = self._begun()

    def _begun(self) -> Any:
        try:
            from loky import get_reusable_executor
        except ImportError as error:
            raise LimnerError("to read pictures by several processes a package is missing", REMEDY) from error
        return get_reusable_executor(self.workers, timeout=IDLE, env={"OMP_NUM_THREADS": "1"}, initializer=_deaf)

    def submit(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Answer:
        return _Local(self._pool, work, items)

    def renew(self) -> None:
        self._pool.shutdown(kill_workers=True)
        self._pool = self._begun()

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None:  # what is under way must write nothing more
            self._pool.shutdown(wait=True, kill_workers=True)


class _Local:
    def __init__(self, pool: Any, work: Callable[[Any], Any], items: Sequence[Any]) -> None:
        try:
            self._future = pool.submit(each, work, items)
        except BrokenExecutor:
            self._future = None

    def result(self) -> list[Any]:
        if self._future is None:
            raise Dead
        try:
            return self._future.result()
        except BrokenExecutor as error:
            raise Dead from error
