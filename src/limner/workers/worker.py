"""A worker: takes runs from the queue and carries them out, one after another, in a process of its own."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from types import TracebackType

from limner.core.errors import Interrupted, LimnerError
from limner.core.events import Event, Progress
from limner.core.logs import RUN
from limner.core.runs import INTERNAL_ERROR, Run, Status
from limner.store.database import DatabaseUnavailable
from limner.store.queue import Queue
from limner.store.runs import Lease, LeaseLost
from limner.store.sessions import retry_while_unavailable
from limner.studio.studio import Studio
from limner.workers.execution import ClaimedRun, execute_claimed

log = logging.getLogger("limner.worker")
BEAT = 0.5
"""Seconds between two looks at whether a run shall go on; progress is told as often."""
TOGETHER = 8

SWEEP = 3600.0
"""Seconds between two looks for working files of what was erased elsewhere."""


def worker_name() -> str:
    """Host, process and chance: no two workers share one."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(4)}"


class Sign:
    """What passes between a run and the pulse that keeps it.

    progress: how far it is. began: when, by the machine's clock. cancelled: its user gave it up. lost: it was given to
    another worker. ended: it needs no more signs of life.
    """

    def __init__(self, hold: Lease) -> None:
        self.hold, self.began = hold, time.monotonic()
        self.progress: Progress | None = None
        self.cancelled = self.lost = self.ended = False

    def listen(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.progress = event


class Pulse:
    """The signs of life of runs: renews their leases and passes on their progress, until the block ends."""

    def __init__(self, queue: Queue, signs: Sequence[Sign]) -> None:
        self.queue, self.signs = queue, signs
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._end.wait(BEAT):
            living = [sign for sign in self.signs if not (sign.ended or sign.lost)]
            try:
                wishes = self.queue.renew([(sign.hold, sign.progress) for sign in living])
            except Exception:
                log.warning("runs %s: their leases could not be renewed", _named(living), exc_info=True)
                continue
            for sign, wish in zip(living, wishes, strict=True):
                sign.lost, sign.cancelled = wish is None, bool(wish)


class Worker:
    """Carries out the runs of a queue until it is told to stop; what it is at then goes back into the queue.

    together: how many pictures of different requests go through the model at once, at most. seconds: how long a run may
    take, None for as long as it does.
    """

    def __init__(
        self,
        studio: Studio,
        queue: Queue | None = None,
        name: str | None = None,
        together: int = TOGETHER,
        seconds: float | None = None,
    ) -> None:
        self.studio, self.queue, self.name = studio, queue or Queue(studio.store), name or worker_name()
        self.together, self.seconds = together, seconds

    def work(self, stop: Callable[[], bool]) -> None:
        """Take what waits, again and again."""
        self.studio.maintenance.check_files()
        swept = -SWEEP
        with closing(self.studio.runs.changes()) as news:
            while not stop():
                try:
                    if time.monotonic() - swept > SWEEP:
                        swept = time.monotonic()
                        self.studio.maintenance.clean()
                    found = self.queue.claim(self.name, self.together)
                    if not found:
                        news.wait(stop)
                except LimnerError as error:  # the database is away for a while
                    log.error("%s", error)
                    time.sleep(BEAT)
                    continue
                if found:
                    self.execute(found, stop)

    def execute(self, found: Sequence[tuple[Run, Lease]], stop: Callable[[], bool]) -> None:
        """Execute a claimed run, or several with the same batch key in one batch, and record how each ends."""
        signs = [Sign(hold) for _, hold in found]
        parts = [
            ClaimedRun(run, sign.hold, sign.listen, partial(_stopped, sign, stop, self.seconds))
            for (run, _), sign in zip(found, signs, strict=True)
        ]
        left = dict(zip(parts, signs, strict=True))
        RUN.set(" ".join(run.id for run, _ in found))
        log.info("runs %s by %s", _named(signs), self.name)
        with Pulse(self.queue, signs):
            try:
                for part, failure in execute_claimed(self.studio, parts):
                    self._end(left.pop(part), failure)
            except KeyboardInterrupt as stopped:
                for sign in left.values():
                    self._end(sign, stopped)

    def _end(self, sign: Sign, failure: BaseException | None) -> None:
        """Tell what became of a run, or put it back; where the database stays away, its lease runs out by itself."""
        hold, end = sign.hold, Status.FAILED
        error, internal_error = str(failure), False
        if failure is None:
            end, error = Status.DONE, None
        elif isinstance(failure, (Interrupted, KeyboardInterrupt)):
            end, error = Status.CANCELLED if sign.cancelled else None, None
        elif isinstance(failure, LeaseLost):
            log.warning("%s", failure)
            sign.ended = True
            return
        elif isinstance(failure, DatabaseUnavailable):  # for longer than the lease lasts
            log.error("run %s: %s", hold.run, failure)
            end, error = None, None
        elif not isinstance(failure, LimnerError):
            log.error("run %s failed", hold.run, exc_info=failure)
            error, internal_error = f"{INTERNAL_ERROR} ({type(failure).__name__}); its log tells more", True

        def tell() -> Run:
            return self.queue.release(hold) if end is None else self.queue.finish(hold, end, error, internal_error)

        try:
            retry_while_unavailable(tell, hold.seconds)
            log.info("run %s: %s", hold.run, end or "put back")
        except (LeaseLost, DatabaseUnavailable) as reason:
            log.warning("run %s: its end could not be told (%s)", hold.run, reason)
        sign.ended = True


def _stopped(sign: Sign, stop: Callable[[], bool], seconds: float | None) -> bool:
    if sign.lost:  # nothing may be saved any more
        raise LeaseLost(sign.hold)
    if seconds is not None and time.monotonic() - sign.began > seconds:
        raise LimnerError(f"it took longer than the {seconds:g} s that this service allows", "ask for less at once")
    return stop() or sign.cancelled


def _named(signs: Sequence[Sign]) -> str:
    return ", ".join(f"{sign.hold.run} (attempt {sign.hold.attempt})" for sign in signs)
