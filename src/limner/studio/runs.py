"""Runs as surfaces use them: list, show, watch and cancel them."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from limner.core.events import Event
from limner.core.runs import SEEN_TAG, Artifact, Run, Status
from limner.store.locks import Locked, run_lock
from limner.store.paths import runs_folder
from limner.store.queue import Queue, QueueState, QueueStats, WrongStatus, queue_stats
from limner.store.runs import Store, UnreadableRun
from limner.store.sessions import ChangeWatcher

__all__ = ["QUEUE", "ChangeWatcher", "QueueState", "QueueStats", "StudioRuns", "UnreadableRun", "WrongStatus"]
QUEUE = "default"
"""The queue of the service."""
FAILURES_SHOWN = timedelta(days=7)
"""How long it is shown that a run failed."""
MOST_FAILURES = 50
MOST_WITHDRAWN = 1000
"""Most queued runs that are cancelled at once."""


class StudioRuns:
    """The runs of a home, of the command line and of the queue."""

    def __init__(self, store: Store) -> None:
        self._store, self._queue = store, Queue(store, QUEUE)

    def list(
        self,
        limit: int = 20,
        kind: str | None = None,
        status: Status | None = None,
        before: str | None = None,
        queue: str | None = None,
        owner: str | None = None,
    ) -> builtins.list[Run]:
        """Runs, newest first. before: id of a run; only older ones. kind, status, queue, owner: only such runs."""
        return [self.settled(run) for run in self._store.list(limit, kind, status, before, queue, owner)]

    def get(self, run_id: str) -> Run:
        """The run with this id, or with the only id that starts so. Raises LimnerError if there is none, or several."""
        return self.settled(self._store.get(run_id))

    def show(self, run_id: str) -> tuple[Run, builtins.list[Artifact]]:
        """A run, found as by `get`, and its artifacts."""
        run = self.get(run_id)
        return run, self._store.artifacts(run.id)

    def events(self, run_id: str, after: int = 0) -> builtins.list[tuple[int, datetime, Event]]:
        """Number, time and event of those numbered above `after`, in order."""
        return self._store.events(run_id, after)

    def notices_of(self, run_ids: Iterable[str]) -> dict[str, builtins.list[str]]:
        """The texts of the first notices of several runs by run id."""
        return self._store.notices_of(run_ids)

    def artifacts(self, run_id: str, kind: str | None = None) -> builtins.list[Artifact]:
        """The artifacts of a run, newest first."""
        return self._store.artifacts(run_id, kind=kind)

    def artifacts_of(self, run_ids: Iterable[str]) -> dict[str, builtins.list[Artifact]]:
        """The artifacts of several runs by run id, each newest first."""
        return self._store.artifacts_of(run_ids)

    def counts(self, queue: str, owner: str | None = None) -> dict[tuple[str, Status], int]:
        """How many runs of a queue there are of each kind and status. owner: only those of this account."""
        return self._store.counts(queue, owner)

    def ended_among(self, run_ids: Collection[str]) -> builtins.list[str]:
        """The ids of those runs that have ended."""
        return self._store.ended_among(run_ids)

    def failures(self, owner: str) -> builtins.list[Run]:
        """The runs of an account that failed within the last days, and that it has neither seen nor tried again."""
        since = datetime.now(UTC) - FAILURES_SHOWN
        failed = self._store.list(MOST_FAILURES, None, Status.FAILED, None, QUEUE, owner)
        return [run for run in failed if SEEN_TAG not in run.tags and (run.finished or run.created) > since]

    def note_seen(self, run: Run, account: str) -> None:
        """Record that an account has seen how a run ended, if it is its own and failed."""
        if run.status is Status.FAILED and run.owner == account and SEEN_TAG not in run.tags:
            self._store.tag(run.id, SEEN_TAG, "yes")

    def changes(self) -> ChangeWatcher:
        """A watcher that waits for what workers and other processes write."""
        return ChangeWatcher(self._store)

    def cancel(self, run_id: str) -> Run:
        """Cancel a run of the queue: a queued one at once, a running one after its current step."""
        return self._queue.cancel(run_id)

    def withdraw(self, run_id: str) -> Run:
        """Cancel a run of the queue if it is still queued; a running one continues."""
        return self._queue.withdraw(run_id)

    def withdraw_behind(self, run: Run) -> builtins.list[str]:
        """Cancel the queued runs of the same account that come after a run of the queue; returns their ids."""
        waiting = self._queue.waiting(MOST_WITHDRAWN, owner=run.owner)
        ids = [each.id for each in waiting]
        behind = ids[ids.index(run.id) + 1 :] if run.id in ids else ids
        return [each for each in behind if self._queue.withdraw(each).status is Status.CANCELLED]

    def states(self, run_ids: Collection[str]) -> dict[str, QueueState]:
        """Where runs of the queue are, by id."""
        return self._queue.states(run_ids)

    def waiting(self, limit: int, kind: str | None = None, owner: str | None = None) -> builtins.list[Run]:
        """Queued runs, the one that is executed next first."""
        return self._queue.waiting(limit, kind, owner)

    def move(self, run_id: str, *, up: bool, owner: str | None = None) -> bool:
        """Let a queued run change places with the one before it, or after it, among those of an account, or of all;
        returns whether there is one.
        """
        return self._queue.move(run_id, up=up, owner=owner)

    def stats(self) -> QueueStats:
        """The figures of all queues."""
        return queue_stats(self._store)

    def settled(self, run: Run) -> Run:
        """The run; marked as interrupted if the program that executed it on this machine is gone."""
        elsewhere = not (runs_folder(self._store.home) / run.id).exists()
        if run.status is not Status.RUNNING or run.queue is not None or elsewhere:
            return run
        with suppress(Locked), run_lock(self._store.folder(run.id)):
            run = self._store.get(run.id)
            if run.status is Status.RUNNING:
                events = self._store.events(run.id)
                last = events[-1][1] if events else run.started
                error = "the program that executed it ended"
                return self._store.update(run.id, status=Status.INTERRUPTED, error=error, finished=last)
        return run
