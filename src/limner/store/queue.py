"""The queue: claims runs for workers, renews their leases, and records how runs end.

A worker claims runs and renews their leases while it works. If the worker dies, the leases expire and other workers
claim the runs, a few times at most. A worker writes only with its lease, so a worker that lost it changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session, object_session

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.events import Progress
from limner.core.execution import batch_key
from limner.core.requests import GenerateRequest
from limner.core.runs import INTERNAL_ERROR, SEEN_TAG, WORKERS_DIED, Run, Status
from limner.store.quota import charge_images
from limner.store.runs import Lease, LeaseLost, Store, UnreadableRun, has_lease, readable, run_of
from limner.store.sessions import Database
from limner.store.tables import ArtifactRow, DeliveryRow, RunRow
from limner.store.webhook_deliveries import announce

LEASE = timedelta(seconds=30)
SILENCE = timedelta(seconds=5)
"""Age of a lease at which its worker does not answer: many heartbeats are missed then, and it may only be slow."""
ATTEMPTS = 3


class WrongStatus(LimnerError):
    """A run whose status does not allow what was asked for."""


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Figures of all queues.

    runs: number by kind and status. oldest: seconds that the oldest queued run has waited. workers: how many execute
    runs. deliveries: to webhooks that are due.
    """

    runs: dict[tuple[str, str], int]
    artifacts: int
    oldest: float
    workers: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class QueueState:
    """Where a run of the queue is.

    position: from 1, in the order in which workers claim runs; None for one that does not wait. lost: its worker died
    or cannot be reached, and the run waits for another one. stopping: it was cancelled and ends after its current step.
    silent: its worker has not renewed its lease lately.
    """

    position: int | None = None
    lost: bool = False
    stopping: bool = False
    silent: bool = False


class Queue:
    """Runs that wait for workers.

    lease: how long a claim lasts unless it is renewed. attempts: how many workers may die of a run before it fails.
    """

    def __init__(self, store: Store, name: str = "default", lease: timedelta = LEASE, attempts: int = ATTEMPTS) -> None:
        self.store, self.name, self.lease, self.attempts = store, name, lease, attempts

    def claim(self, worker: str, images: int = 1, kinds: Collection[str] | None = None) -> list[tuple[Run, Lease]]:
        """Claim the next run, and queued runs that can be generated in one batch with it; [] if none waits.

        The next run has the highest priority, and of those it is the oldest. images: how many images a batch may have;
        the requests may say fewer. kinds: only runs of these kinds; None for all. A run that a worker died of is
        claimed alone, so that it costs no other run an attempt.
        """
        now = datetime.now(UTC)
        waiting = or_(RunRow.status == Status.QUEUED, _expired(now))
        query = _next(self.name).where(waiting).limit(1)
        query = query if kinds is None else query.where(RunRow.kind.in_(kinds))
        with self.store.writing() as session:
            self._fail_exhausted(session, now)
            while (row := session.scalars(query).one_or_none()) is not None:
                first = self._take(session, row, worker, now)
                if first is not None:
                    return [first, *self._take_batch(session, row, first[0], worker, images, now)]
            return []

    def _take_batch(
        self, session: Session, row: RunRow, first: Run, worker: str, images: int, now: datetime
    ) -> list[tuple[Run, Lease]]:
        """Claim the queued runs that fit into one batch with the first one."""
        request = first.request
        batch = request.batch if isinstance(request, GenerateRequest) else 1
        room = min(images, batch or 1) - _count(first)
        if row.batch_key is None or row.attempt > 1 or room < 1:
            return []
        taken: list[tuple[Run, Lease]] = []
        alike = _next(self.name).where(RunRow.status == Status.QUEUED, RunRow.batch_key == row.batch_key)
        for other in session.scalars(alike.where(RunRow.attempt == 0).limit(room)).all():
            if _requested_count(other) > room or not _is_alike(other, first):
                continue
            if (found := self._take(session, other, worker, now)) is not None:
                taken.append(found)
                room -= _count(found[0])
        return taken

    def _take(self, session: Session, row: RunRow, worker: str, now: datetime) -> tuple[Run, Lease] | None:
        """Give a run to a worker; a run that cannot be read fails instead."""
        row.status, row.worker, row.lease = Status.RUNNING, worker, now + self.lease
        row.attempt += 1
        row.started = row.started or now
        row.error, row.internal_error, row.progress = None, False, None
        try:
            return run_of(row), Lease(row.id, worker, row.attempt, self.lease.total_seconds())
        except UnreadableRun as error:
            row.status, row.error, row.finished, row.lease = Status.FAILED, str(error), now, None
            announce(session, row)
            return None
        finally:
            session.flush()

    def renew(self, renewals: Sequence[tuple[Lease, Progress | None]]) -> list[bool | None]:
        """Renew the leases of runs and record their progress.

        Returns for each whether its user cancelled it; None if the lease is lost.
        """
        cancelled: list[bool | None] = []
        with self.store.writing() as session:
            ids = [lease.run for lease, _ in renewals]
            rows = session.scalars(select(RunRow).where(RunRow.id.in_(ids)).order_by(RunRow.id).with_for_update())
            known = {row.id: row for row in rows}
            for lease, progress in renewals:
                row = known.get(lease.run)
                if row is None or not has_lease(row, lease):
                    cancelled.append(None)
                    continue
                row.lease = datetime.now(UTC) + self.lease
                row.progress = None if progress is None else progress.model_dump(mode="json")
                cancelled.append(row.cancel)
            session.flush()
        return cancelled

    def finish(self, lease: Lease, status: Status, error: str | None = None, internal_error: bool = False) -> Run:
        """End a run. internal_error: see Run. Raises LeaseLost if the worker no longer holds it."""
        with self._leased(lease) as row:
            row.status, row.error, row.finished = status, error, datetime.now(UTC)
            row.internal_error, row.lease = internal_error, None
            return run_of(row)

    def release(self, lease: Lease) -> Run:
        """Put a run back into the queue, for a worker that must stop; the attempt does not count.

        A run that its user cancelled meanwhile ends. Raises LeaseLost if the worker no longer holds it.
        """
        with self._leased(lease) as row:
            row.worker, row.lease, row.progress = None, None, None
            if row.cancel:
                row.status, row.finished = Status.CANCELLED, datetime.now(UTC)
            else:
                row.status = Status.QUEUED
                row.attempt -= 1
            return run_of(row)

    def cancel(self, run_id: str) -> Run:
        """Cancel a run: a queued one at once, a running one after its current step, or at once if its worker died."""
        with self._row(run_id) as row:
            if row.status == Status.QUEUED:
                row.status, row.finished = Status.CANCELLED, datetime.now(UTC)
            elif row.status == Status.RUNNING:
                row.cancel = True
                if row.lease is not None and row.lease < datetime.now(UTC):  # nobody is left to end it
                    row.status, row.finished, row.lease = Status.CANCELLED, datetime.now(UTC), None
            return run_of(row)

    def withdraw(self, run_id: str) -> Run:
        """Cancel a run if it is still queued; a running one continues."""
        with self._row(run_id) as row:
            if row.status == Status.QUEUED:
                row.status, row.finished = Status.CANCELLED, datetime.now(UTC)
            return run_of(row)

    def retry(self, run_id: str, policy: str | None = None, caller: Caller | None = None) -> Run:
        """Queue a failed, interrupted or cancelled run again; training continues from its last checkpoint.

        policy: digest of the policy that moderates it from now on; by default the previous one. Raises WrongStatus for
        any other run, and QuotaExceeded if the caller's key may not have so many images today.
        """
        with self._row(run_id) as row:
            if row.status not in (Status.FAILED, Status.INTERRUPTED, Status.CANCELLED):
                raise WrongStatus(
                    f"run {row.id} is {row.status}", "only failed, interrupted and cancelled runs can be retried"
                )
            if row.erasure is not None:
                raise WrongStatus(f"run {row.id} is deleted", "put it back first")
            charge_images(cast(Session, object_session(row)), caller or Caller(), run_of(row).request)
            row.status, row.attempt, row.cancel, row.policy = Status.QUEUED, 0, False, policy or row.policy
            row.worker, row.lease, row.error, row.finished, row.progress = None, None, None, None, None
            row.internal_error = False
            row.tags = {name: value for name, value in row.tags.items() if name != SEEN_TAG}
            return run_of(row)

    def states(self, run_ids: Collection[str]) -> dict[str, QueueState]:
        """Where runs of this queue are, by id."""
        now = datetime.now(UTC)
        waiting = or_(RunRow.status == Status.QUEUED, and_(_expired(now), ~RunRow.cancel))
        place = func.row_number().over(order_by=_ORDER).label("place")
        ranked = select(RunRow.id, place).where(RunRow.queue == self.name, waiting).subquery()
        query = (
            select(RunRow.id, ranked.c.place, RunRow.status, RunRow.cancel, RunRow.lease)
            .outerjoin(ranked, ranked.c.id == RunRow.id)
            .where(RunRow.id.in_(run_ids), RunRow.queue == self.name)
        )
        found: dict[str, QueueState] = {}
        with self.store.session() as session:
            for run, position, status, cancel, lease in session.execute(query):
                running = status == Status.RUNNING
                lost = running and lease is not None and lease < now
                silent = running and lease is not None and not lost and lease < now + self.lease - SILENCE
                found[run] = QueueState(position, lost, running and cancel, silent)
        return found

    def waiting(self, limit: int, kind: str | None = None, owner: str | None = None) -> list[Run]:
        """Queued runs in the order in which they are claimed; unreadable ones are left out."""
        query = select(RunRow).where(RunRow.queue == self.name, RunRow.status == Status.QUEUED).order_by(*_ORDER)
        query = query if kind is None else query.where(RunRow.kind == kind)
        query = query if owner is None else query.where(RunRow.owner == owner)
        with self.store.session() as session:
            return list(readable(session.scalars(query.limit(limit))))

    def move(self, run_id: str, *, up: bool, owner: str | None = None) -> bool:
        """Let a queued run change places with the one before it, or after it; returns whether there is one.

        owner: changes places only with a run of this account, so that the places of all others stay. Raises
        WrongStatus if the run is not queued.
        """
        query = select(RunRow).where(RunRow.queue == self.name, RunRow.status == Status.QUEUED).order_by(*_ORDER)
        query = query if owner is None else query.where(RunRow.owner == owner)
        with self.store.writing() as session:
            rows = session.scalars(query.with_for_update()).all()
            place = next((number for number, row in enumerate(rows) if row.id == run_id), None)
            if place is None:
                raise WrongStatus(f"run {run_id} does not wait any more", "look at the queue again")
            first = place - 1 if up else place
            if first < 0 or first + 1 >= len(rows):
                return False
            ahead, behind = rows[first], rows[first + 1]
            slots = (ahead.priority, ahead.turn or ahead.created), (behind.priority, behind.turn or behind.created)
            if slots[0] == slots[1]:
                slots = slots[0], (behind.priority, slots[1][1] + timedelta(microseconds=1))
            (behind.priority, behind.turn), (ahead.priority, ahead.turn) = slots
            session.flush()
            return True

    def _fail_exhausted(self, session: Session, now: datetime) -> None:
        """End the runs with an expired lease that are cancelled or have no attempts left."""
        expired = and_(RunRow.queue == self.name, _expired(now))
        error = f"{INTERNAL_ERROR}: {self.attempts} {WORKERS_DIED}"
        exhausted = or_(RunRow.cancel, RunRow.attempt >= self.attempts)
        for row in session.scalars(select(RunRow).where(expired, exhausted).with_for_update(skip_locked=True)):
            row.status, row.error = (Status.CANCELLED, None) if row.cancel else (Status.FAILED, error)
            row.finished, row.lease, row.internal_error = now, None, not row.cancel
            announce(session, row)
        session.flush()

    @contextmanager
    def _leased(self, lease: Lease) -> Generator[RunRow]:
        """The locked row of a run, to change. Raises LeaseLost if the worker no longer holds it."""
        with self.store.writing() as session:
            query = select(RunRow).where(RunRow.id == lease.run).with_for_update()
            row = session.scalars(query).one_or_none()
            if row is None or not has_lease(row, lease):
                raise LeaseLost(lease)
            with _announced(session, row):
                yield row

    @contextmanager
    def _row(self, run_id: str) -> Generator[RunRow]:
        """The locked row of a run of this queue, to change."""
        whole = self.store.get(run_id).id
        with self.store.writing() as session:
            row = session.scalars(select(RunRow).where(RunRow.id == whole).with_for_update()).one()
            if row.queue != self.name:
                raise LimnerError(f"run {whole} is not in the queue", "it is executed where it was submitted")
            with _announced(session, row):
                yield row


def queue_stats(database: Database) -> QueueStats:
    """The figures of all queues; runs of the command line are not counted."""
    queued, now = RunRow.queue.is_not(None), datetime.now(UTC)
    counted = select(RunRow.kind, RunRow.status, func.count()).where(queued).group_by(RunRow.kind, RunRow.status)
    made = select(func.count()).select_from(ArtifactRow).join(RunRow, RunRow.id == ArtifactRow.run).where(queued)
    busy = select(func.count(RunRow.worker.distinct())).where(queued, RunRow.status == Status.RUNNING)
    due = select(func.count()).select_from(DeliveryRow).where(DeliveryRow.due.is_not(None))
    with database.session() as session:
        oldest = session.scalar(select(func.min(RunRow.created)).where(queued, RunRow.status == Status.QUEUED))
        return QueueStats(
            runs={(kind, status): count for kind, status, count in session.execute(counted)},
            artifacts=session.scalar(made) or 0,
            oldest=0.0 if oldest is None else max(0.0, (now - oldest).total_seconds()),
            workers=session.scalar(busy) or 0,
            deliveries=session.scalar(due) or 0,
        )


@contextmanager
def _announced(session: Session, row: RunRow) -> Generator[None]:
    """Add the webhook deliveries of a run that ends within the block."""
    before = row.status
    yield
    if row.status != before and Status(row.status).ended:
        announce(session, row)
    session.flush()


def _expired(now: datetime) -> ColumnElement[bool]:
    """The condition that a run is held by a worker whose lease has expired."""
    return and_(RunRow.status == Status.RUNNING, RunRow.lease < now)


def _next(queue: str) -> Select[RunRow]:
    """The runs of a queue in the order in which they are claimed, without those that another worker is claiming."""
    query = select(RunRow).where(RunRow.queue == queue).with_for_update(skip_locked=True)
    return query.order_by(*_ORDER)


_ORDER = (RunRow.priority.desc(), func.coalesce(RunRow.turn, RunRow.created), RunRow.id)
"""The order in which waiting runs are claimed."""


def _count(run: Run) -> int:
    """The number of images that a run generates; 1 for other kinds."""
    return run.request.count if isinstance(run.request, GenerateRequest) else 1


def _is_alike(row: RunRow, run: Run) -> bool:
    """Whether a run fits into a batch with another one. The key in its row may come from a forged backup."""
    try:
        other = run_of(row)
        return batch_key(other.request, other.execution) == batch_key(run.request, run.execution)
    except UnreadableRun:
        return True  # _take makes it fail


def _requested_count(row: RunRow) -> int:
    """The number of images in a row that may be damaged."""
    count: Any = cast(Any, row.request).get("count") if isinstance(cast(Any, row.request), dict) else None
    return count if isinstance(count, int) else 1
