"""Waiting for what workers do, until the service stops: one thread looks for all who wait."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from http import HTTPStatus

from anyio.to_thread import run_sync

from limner.core.runs import Run
from limner.server.problems import Refusal
from limner.studio.studio import Studio

LOOK, SLOWEST = 0.1, 1.0
"""Seconds between two looks at the events of a run, and at those of a run of which there is nothing new."""
STREAMS = 32
"""The most streams of events that one account may have open: each looks at the database again and again."""
log = logging.getLogger("limner.server")


class Waiter:
    """One who waits for the end of a run."""

    def __init__(self, run_id: str) -> None:
        self.run_id, self._loop, self._end = run_id, asyncio.get_running_loop(), asyncio.Event()

    def wake(self) -> None:
        """Called from any thread."""
        with suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._end.set)

    async def wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._end.wait()


class Waiting:
    """Those who wait at a service. stopping: it ends, so nobody shall wait any longer."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.stopping = studio, False
        self._waiters: set[Waiter] = set()
        self._lock, self._looking = threading.Lock(), False
        self._streams = Counter[str]()

    def stop(self) -> None:
        self.stopping = True
        with self._lock:
            for waiter in self._waiters:
                waiter.wake()

    async def pause(self, quiet: int) -> bool:
        """Wait for the next look at events; whether to look at all. quiet: looks in a row that showed nothing new."""
        if not self.stopping:
            await asyncio.sleep(min(SLOWEST, LOOK * (1 + quiet // 10)))
        return not self.stopping

    @contextmanager
    def stream(self, account: str) -> Iterator[None]:
        """Count a stream of an account while it is open; raises Refusal (429) where it has too many."""
        with self._lock:
            if self._streams[account] >= STREAMS:
                problem = f"{STREAMS} streams of events are open already"
                raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, problem, "close one of them first")
            self._streams[account] += 1
        try:
            yield
        finally:
            with self._lock:
                self._streams[account] -= 1
                if not self._streams[account]:
                    del self._streams[account]

    async def end_of(self, run_id: str, seconds: float) -> None:
        """Until a run has ended, or so many seconds are over."""
        waiter = Waiter(run_id)
        with self._lock:
            self._waiters.add(waiter)
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._look, daemon=True).start()
        try:
            if not self.stopping:
                await waiter.wait(seconds)
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def _look(self) -> None:
        """Wake those whose runs have ended, as long as anyone waits."""
        with closing(self.studio.runs.changes()) as news:
            while True:
                with self._lock:
                    waiters = list(self._waiters)
                    if not waiters:
                        self._looking = False
                        return
                try:
                    ended = set(self.studio.runs.ended_among({waiter.run_id for waiter in waiters}))
                    for waiter in waiters:
                        if waiter.run_id in ended:
                            waiter.wake()
                    news.wait(lambda: self.stopping)
                except Exception:  # the next look may be luckier
                    log.warning("could not look for the ends of runs", exc_info=True)
                    time.sleep(LOOK)


@cache
def waiting(studio: Studio) -> Waiting:
    """Those who wait at the service of a studio."""
    return Waiting(studio)


async def ended(studio: Studio, run: Run, seconds: float) -> Run:
    """The run when it has ended, or as it stands after so many seconds, or when the service stops."""
    if not run.status.ended:
        await waiting(studio).end_of(run.id, seconds)
    return await run_sync(studio.runs.get, run.id)
