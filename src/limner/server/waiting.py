"""Waiting for runs to end, until they do, the client disconnects or the server stops."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from http import HTTPStatus

from anyio.to_thread import run_sync
from fastapi import Request

from limner.core.errors import LimnerError
from limner.core.runs import STORAGE_ERROR, Run, Status
from limner.server.problems import HTTPError
from limner.studio.studio import Studio

POLL, SLOWEST_POLL = 0.1, 1.0
"""Seconds between two reads of a run's events: while there are new ones, and at most."""
DISCONNECT_POLL = 0.5
"""Seconds between two checks whether a client is still connected."""
STREAMS = 32
"""Most event streams that an account may have open: each reads the database again and again."""
log = logging.getLogger("limner.server")


class RunWaiter:
    """Waits for runs to end. One thread reads the database for all who wait.

    stopping: the server is stopping, so no call waits any longer.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio, self.stopping = studio, False
        self._waits: set[_Wait] = set()
        self._lock, self._polling = threading.Lock(), False
        self._streams = Counter[str]()

    def stop(self) -> None:
        """End all waiting."""
        self.stopping = True
        with self._lock:
            for wait in self._waits:
                wait.end()

    async def pause(self, idle: int) -> bool:
        """Sleep until the next read of a run's events; return whether to read on.

        idle: how many reads in a row found nothing new; they become less frequent.
        """
        if not self.stopping:
            await asyncio.sleep(min(SLOWEST_POLL, POLL * (1 + idle // 10)))
        return not self.stopping

    @contextmanager
    def stream(self, account: str) -> Iterator[None]:
        """Count an open event stream of an account; raises HTTPError (429) if it has too many."""
        with self._lock:
            if self._streams[account] >= STREAMS:
                problem = f"the account has {STREAMS} event streams open, which is the most"
                raise HTTPError(HTTPStatus.TOO_MANY_REQUESTS, problem, "close one of them first")
            self._streams[account] += 1
        try:
            yield
        finally:
            with self._lock:
                self._streams[account] -= 1
                if not self._streams[account]:
                    del self._streams[account]

    async def ended(self, run: Run, seconds: float) -> Run:
        """Return the run once it has ended, or as it is after `seconds` or when the server stops."""
        if not run.status.ended:
            await self._wait_for(run.id, seconds)
        return await run_sync(self.studio.runs.get, run.id)

    async def _wait_for(self, run_id: str, seconds: float) -> None:
        wait = _Wait(run_id)
        with self._lock:
            self._waits.add(wait)
            if not self._polling:
                self._polling = True
                threading.Thread(target=self._poll, daemon=True).start()
        try:
            if not self.stopping:
                await wait.wait(seconds)
        finally:
            with self._lock:
                self._waits.discard(wait)

    def _poll(self) -> None:
        """End the waits for runs that have ended, while there are any waits."""
        with closing(self.studio.runs.changes()) as changes:
            while True:
                with self._lock:
                    waits = list(self._waits)
                    if not waits:
                        self._polling = False
                        return
                try:
                    ended = set(self.studio.runs.ended_among({wait.run_id for wait in waits}))
                    for wait in waits:
                        if wait.run_id in ended:
                            wait.end()
                    changes.wait(lambda: self.stopping)
                except Exception:  # the next poll may succeed
                    log.warning("could not read which runs ended", exc_info=True)
                    time.sleep(POLL)


class _Wait:
    """One coroutine's wait for the end of a run."""

    def __init__(self, run_id: str) -> None:
        self.run_id, self._loop, self._ended = run_id, asyncio.get_running_loop(), asyncio.Event()

    def end(self) -> None:
        """End the wait; may be called from any thread."""
        with suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._ended.set)

    async def wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()


async def wait_until_done(waiter: RunWaiter, request: Request, run: Run, seconds: float) -> Run:
    """Return the run once it is done; raises HTTPError if it ended otherwise, or not within `seconds`.

    A run that is still queued is cancelled when its client disconnects.
    """
    began = time.monotonic()
    async with cancel_on_disconnect(waiter.studio, request, run):
        run = await waiter.ended(run, seconds)
    check_done(run, time.monotonic() - began)
    return run


def check_done(run: Run, seconds: float) -> None:
    """Raise HTTPError with the reason if a run is not done after `seconds`."""
    if run.status is Status.FAILED:
        status = HTTPStatus.INTERNAL_SERVER_ERROR if run.internal_error else HTTPStatus.UNPROCESSABLE_ENTITY
        if run.error == STORAGE_ERROR:
            status = HTTPStatus.SERVICE_UNAVAILABLE
        raise HTTPError(status, run.error or "the run failed", f"GET /v1/runs/{run.id} shows the run")
    if run.status is Status.CANCELLED:
        raise HTTPError(HTTPStatus.CONFLICT, "the run was cancelled before it was done", "send the request again")
    if run.status is not Status.DONE:
        problem = f"the run is not done after {seconds:.0f} s ({run.status})"
        raise HTTPError(HTTPStatus.GATEWAY_TIMEOUT, problem, f"GET /v1/runs/{run.id} shows when it is")


@asynccontextmanager
async def cancel_on_disconnect(studio: Studio, request: Request, run: Run) -> AsyncIterator[None]:
    """Cancel the run if its client disconnects inside the block while the run is still queued.

    Clients that sent an `Idempotency-Key` are expected to come back for the result; their runs stay.
    """

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(DISCONNECT_POLL)
        with suppress(LimnerError):
            await run_sync(studio.runs.withdraw, run.id)

    watcher = None if "idempotency-key" in request.headers else asyncio.create_task(watch())
    try:
        yield
    finally:
        if watcher is not None:
            watcher.cancel()
