"""A worker: claims runs from the queue and executes them, in a process of its own."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from functools import partial
from types import TracebackType

from limner.core.disk import is_disk_error
from limner.core.errors import Interrupted, LimnerError, Unavailable
from limner.core.events import Event, Progress
from limner.core.logs import RUN
from limner.core.runs import INTERNAL_ERROR, STORAGE_ERROR, Run, Status
from limner.store.database import DatabaseUnavailable
from limner.store.queue import Queue
from limner.store.runs import Lease, LeaseLost
from limner.store.sessions import retry_while_unavailable
from limner.studio.studio import Studio
from limner.workers.execution import ClaimedRun, execute_claimed

log = logging.getLogger("limner.worker")
HEARTBEAT = 0.5
"""Seconds between two renewals of leases, which also report progress and find out about cancellation."""
BATCH = 8
"""Most images of different requests in one batch."""
SWEEP_INTERVAL = 3600.0
"""Seconds between two searches for working files of runs that another machine erased."""


def worker_name() -> str:
    """Return a unique name: host, process id and random characters."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(4)}"


class Attempt:
    """An attempt of this worker to execute a run; its heartbeat and its executor share this state.

    began: by the monotonic clock. cancelled: the user cancelled the run. lost: another worker has the run. ended: the
    lease needs no more renewal.
    """

    def __init__(self, lease: Lease) -> None:
        self.lease, self.began = lease, time.monotonic()
        self.progress: Progress | None = None
        self.cancelled = self.lost = self.ended = False

    def listen(self, event: Event) -> None:
        """Remember the progress, which the next heartbeat reports."""
        if isinstance(event, Progress):
            self.progress = event


class Heartbeat:
    """Renews the leases of attempts and reports their progress until the block ends."""

    def __init__(self, queue: Queue, attempts: Sequence[Attempt]) -> None:
        self.queue, self.attempts = queue, attempts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(HEARTBEAT):
            active = [attempt for attempt in self.attempts if not (attempt.ended or attempt.lost)]
            try:
                cancelled = self.queue.renew([(attempt.lease, attempt.progress) for attempt in active])
            except Exception:
                log.warning("runs %s: their leases could not be renewed", _describe(active), exc_info=True)
                continue
            for attempt, cancel in zip(active, cancelled, strict=True):
                attempt.lost, attempt.cancelled = cancel is None, bool(cancel)


class Worker:
    """Executes the runs of a queue until it is stopped; then the runs that are not done go back into the queue.

    together: most images of different requests in one batch. seconds: time limit of a run, None without one. kinds:
    the kinds of requests that it executes, None for all.
    """

    def __init__(
        self,
        studio: Studio,
        queue: Queue | None = None,
        name: str | None = None,
        together: int = BATCH,
        seconds: float | None = None,
        kinds: Collection[str] | None = None,
    ) -> None:
        self.studio, self.queue, self.name = studio, queue or Queue(studio.store), name or worker_name()
        self.together, self.seconds, self.kinds = together, seconds, kinds

    def work(self, stop: Callable[[], bool]) -> None:
        """Claim and execute runs until `stop` returns True."""
        self.studio.maintenance.check_files()
        swept = -SWEEP_INTERVAL
        with closing(self.studio.runs.changes()) as changes:
            while not stop():
                try:
                    if time.monotonic() - swept > SWEEP_INTERVAL:
                        swept = time.monotonic()
                        self.studio.maintenance.clean()
                    claimed = self.queue.claim(self.name, self.together, self.kinds)
                    if not claimed:
                        changes.wait(stop)
                except LimnerError as error:  # the database does not respond
                    log.error("%s", error)
                    time.sleep(HEARTBEAT)
                    continue
                if claimed:
                    self.execute(claimed, stop)

    def execute(self, claimed: Sequence[tuple[Run, Lease]], stop: Callable[[], bool]) -> None:
        """Execute claimed runs of one batch key and record how each ended."""
        attempts = [Attempt(lease) for _, lease in claimed]
        parts = [
            ClaimedRun(run, attempt.lease, attempt.listen, partial(_must_stop, attempt, stop, self.seconds))
            for (run, _), attempt in zip(claimed, attempts, strict=True)
        ]
        left = dict(zip(parts, attempts, strict=True))
        token = RUN.set(" ".join(run.id for run, _ in claimed))
        try:
            log.info("runs %s by %s", _describe(attempts), self.name)
            with Heartbeat(self.queue, attempts):
                self._execute(parts, left)
        finally:
            RUN.reset(token)

    def _execute(self, parts: Sequence[ClaimedRun], left: dict[ClaimedRun, Attempt]) -> None:
        """Execute runs and record how each ended. left: the attempts that have not ended."""
        try:
            for part, failure in execute_claimed(self.studio, parts):
                self._end(left.pop(part), failure)
        except KeyboardInterrupt as interrupt:
            for attempt in left.values():
                self._end(attempt, interrupt)

    def _end(self, attempt: Attempt, failure: BaseException | None) -> None:
        """Record how a run ended, or put it back into the queue.

        Where the database does not respond for longer than the lease lasts, the lease expires and the run is queued.
        """
        lease, status = attempt.lease, Status.FAILED
        error, internal_error = str(failure), False
        if failure is None:
            status, error = Status.DONE, None
        elif isinstance(failure, (Interrupted, KeyboardInterrupt)):
            status, error = Status.CANCELLED if attempt.cancelled else None, None
        elif isinstance(failure, LeaseLost):
            log.warning("%s", failure)
            attempt.ended = True
            return
        elif isinstance(failure, DatabaseUnavailable):
            log.error("run %s: %s", lease.run, failure)
            status, error = None, None
        elif isinstance(failure, Unavailable) or is_disk_error(failure):  # not because of the request
            log.error("run %s: %s", lease.run, failure)
            error, internal_error = STORAGE_ERROR, True
        elif not isinstance(failure, LimnerError):
            log.error("run %s failed", lease.run, exc_info=failure)
            error, internal_error = f"{INTERNAL_ERROR} ({type(failure).__name__}); see the worker's log", True

        def record() -> Run:
            if status is None:
                return self.queue.release(lease)
            return self.queue.finish(lease, status, error, internal_error)

        try:
            retry_while_unavailable(record, lease.seconds)
            log.info("run %s: %s", lease.run, status or "put back into the queue")
        except (LeaseLost, DatabaseUnavailable) as reason:
            log.warning("run %s: its end could not be recorded (%s)", lease.run, reason)
        attempt.ended = True


def _must_stop(attempt: Attempt, stop: Callable[[], bool], seconds: float | None) -> bool:
    """Return whether a run must stop; raises LeaseLost if another worker has it, LimnerError after the time limit."""
    if attempt.lost:  # nothing may be saved any more
        raise LeaseLost(attempt.lease)
    if seconds is not None and time.monotonic() - attempt.began > seconds:
        raise LimnerError(f"the run took longer than {seconds:g} s, the limit of this server", "request less at once")
    return stop() or attempt.cancelled


def _describe(attempts: Sequence[Attempt]) -> str:
    return ", ".join(f"{attempt.lease.run} (attempt {attempt.lease.attempt})" for attempt in attempts)
