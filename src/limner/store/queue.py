"""The queue: which worker carries out which run, for how long without a sign of life, and what becomes of it.

A worker claims a run for a lease and renews that while it works. When it dies, the lease runs out and the run goes to
another one, a few times at most. Whatever a worker writes, it writes as the holder of the run, so that one that lost
its lease changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session, object_session

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.events import Progress
from limner.core.requests import GenerateRequest, Request
from limner.core.runs import FAULT, Run, Status
from limner.store.quota import charge_images
from limner.store.runs import Lease, LeaseLost, Store, UnreadableRun, has_lease, run_of
from limner.store.tables import RunRow
from limner.store.webhooks import announce

LEASE = timedelta(seconds=30)
ATTEMPTS = 3


class WrongStatus(LimnerError):
    """A run is not in the state for what was asked of it."""


class Queue:
    """Runs that wait for workers. lease: how long a worker may be silent; attempts: how many workers a run may cost."""

    def __init__(self, store: Store, name: str = "default", lease: timedelta = LEASE, attempts: int = ATTEMPTS) -> None:
        self.store, self.name, self.lease, self.attempts = store, name, lease, attempts

    def claim(self, worker: str) -> tuple[Run, Lease] | None:
        """The next run, the caller's own from now on; None where nothing waits. Higher priority first, then older."""
        return next(iter(self.claim_together(worker, 1)), None)

    def claim_together(self, worker: str, pictures: int) -> list[tuple[Run, Lease]]:
        """The next run, and with it those that wait too and can go through the model with it.

        pictures: how many of them go there together; as many as the requests say where these say fewer. What cost a
        worker before is carried out alone, lest it costs others more.
        """
        now = datetime.now(UTC)
        waiting = or_(RunRow.status == Status.QUEUED, _abandoned(now))
        query = _in_turn(self.name).where(waiting).limit(1)
        with self.store.writing() as session:
            self._give_up(session, now)
            while (row := session.scalars(query).one_or_none()) is not None:
                found = self._take(session, row, worker, now)
                if found is None:
                    continue
                taken = [found]
                request = found[0].request
                together = request.batch if isinstance(request, GenerateRequest) else 1
                room = min(pictures, together or 1) - _count(found[0])
                if row.batch_key is None or row.attempt > 1 or room < 1:
                    return taken
                alike = _in_turn(self.name).where(RunRow.status == Status.QUEUED, RunRow.batch_key == row.batch_key)
                for other in session.scalars(alike.where(RunRow.attempt == 0).limit(room)).all():
                    if _wished(other) > room or not _is_alike(other, request):
                        continue
                    if (found := self._take(session, other, worker, now)) is not None:
                        taken.append(found)
                        room -= _count(found[0])
                return taken
            return []

    def _take(self, session: Session, row: RunRow, worker: str, now: datetime) -> tuple[Run, Lease] | None:
        """Give a run to a worker; one that cannot be read fails by itself."""
        row.status, row.worker, row.lease = Status.RUNNING, worker, now + self.lease
        row.attempt += 1
        row.started = row.started or now
        row.error, row.progress = None, None
        try:
            return run_of(row), Lease(row.id, worker, row.attempt, self.lease.total_seconds())
        except UnreadableRun as error:
            row.status, row.error, row.finished, row.lease = Status.FAILED, str(error), now, None
            announce(session, row)
            return None
        finally:
            session.flush()

    def renew(self, hold: Lease, progress: Progress | None = None) -> bool:
        """A sign of life, with how far the run is; whether its user wants it stopped.

        Raises Lost when it is held no longer, as do the methods below.
        """
        (wish,) = self.renew_all([(hold, progress)])
        if wish is None:
            raise LeaseLost(hold)
        return wish

    def renew_all(self, signs: Sequence[tuple[Lease, Progress | None]]) -> list[bool | None]:
        """Signs of life of several runs at once; None for one that is held no longer."""
        wishes: list[bool | None] = []
        with self.store.writing() as session:
            ids = [hold.run for hold, _ in signs]
            rows = session.scalars(select(RunRow).where(RunRow.id.in_(ids)).order_by(RunRow.id).with_for_update())
            known = {row.id: row for row in rows}
            for hold, progress in signs:
                row = known.get(hold.run)
                if row is None or not has_lease(row, hold):
                    wishes.append(None)
                    continue
                row.lease = datetime.now(UTC) + self.lease
                row.progress = None if progress is None else progress.model_dump(mode="json")
                wishes.append(row.cancel)
            session.flush()
        return wishes

    def finish(self, hold: Lease, status: Status, error: str | None = None) -> Run:
        """End a run that the caller holds."""
        with self._held(hold) as row:
            row.status, row.error, row.finished = status, error, datetime.now(UTC)
            row.lease = None
            return run_of(row)

    def release(self, hold: Lease) -> Run:
        """Put a run back as it was claimed, for a worker that must stop; this attempt does not count.

        One that its user gave up meanwhile ends here.
        """
        with self._held(hold) as row:
            row.worker, row.lease, row.progress = None, None, None
            if row.cancel:
                row.status, row.finished = Status.CANCELLED, datetime.now(UTC)
            else:
                row.status = Status.QUEUED
                row.attempt -= 1
            return run_of(row)

    def cancel(self, run_id: str) -> Run:
        """Give a run up: at once where it waits, after its present step where it is being carried out."""
        with self._row(run_id) as row:
            if row.status == Status.QUEUED:
                row.status, row.finished = Status.CANCELLED, datetime.now(UTC)
            elif row.status == Status.RUNNING:
                row.cancel = True
            return run_of(row)

    def withdraw(self, run_id: str) -> Run:
        """Give a run up where it still waits; one that is being carried out goes on."""
        with self._row(run_id) as row:
            if row.status == Status.QUEUED:
                row.status, row.finished = Status.CANCELLED, datetime.now(UTC)
            return run_of(row)

    def retry(self, run_id: str, policy: str | None = None, caller: Caller | None = None) -> Run:
        """Have a run that ended badly carried out again; a training goes on from its last checkpoint.

        policy: by which it is moderated from now on; that of before where it is not given. Raises TooMuch where the key
        of its caller may not have so many pictures today.
        """
        with self._row(run_id) as row:
            if row.status not in (Status.FAILED, Status.INTERRUPTED, Status.CANCELLED):
                raise WrongStatus(
                    f"run {row.id} is {row.status}", "only failed, interrupted and cancelled ones are tried again"
                )
            charge_images(cast(Session, object_session(row)), caller or Caller(), run_of(row).request)
            row.status, row.attempt, row.cancel, row.policy = Status.QUEUED, 0, False, policy or row.policy
            row.worker, row.lease, row.error, row.finished, row.progress = None, None, None, None, None
            return run_of(row)

    def _give_up(self, session: Session, now: datetime) -> None:
        """End the abandoned runs that nobody shall take up again."""
        theirs = and_(RunRow.queue == self.name, _abandoned(now))
        error = f"{FAULT}: {self.attempts} workers ended without a word while they carried it out"
        spent = or_(RunRow.cancel, RunRow.attempt >= self.attempts)
        for row in session.scalars(select(RunRow).where(theirs, spent).with_for_update(skip_locked=True)):
            row.status, row.error = (Status.CANCELLED, None) if row.cancel else (Status.FAILED, error)
            row.finished, row.lease = now, None
            announce(session, row)
        session.flush()

    @contextmanager
    def _held(self, hold: Lease) -> Generator[RunRow]:
        with self.store.writing() as session:
            query = select(RunRow).where(RunRow.id == hold.run).with_for_update()
            row = session.scalars(query).one_or_none()
            if row is None or not has_lease(row, hold):
                raise LeaseLost(hold)
            with _told(session, row):
                yield row

    @contextmanager
    def _row(self, run_id: str) -> Generator[RunRow]:
        whole = self.store.get(run_id).id
        with self.store.writing() as session:
            row = session.scalars(select(RunRow).where(RunRow.id == whole).with_for_update()).one()
            if row.queue != self.name:
                raise LimnerError(f"run {whole} is not in the queue", "who submitted it carries it out")
            with _told(session, row):
                yield row


@contextmanager
def _told(session: Session, row: RunRow) -> Generator[None]:
    """Have those told who want to know, when the block ends a run."""
    before = row.status
    yield
    if row.status != before and Status(row.status).ended:
        announce(session, row)
    session.flush()


def _abandoned(now: datetime) -> ColumnElement[bool]:
    """Given to a worker that has shown no sign of life for longer than its lease."""
    return and_(RunRow.status == Status.RUNNING, RunRow.lease < now)


def _in_turn(queue: str) -> Select[RunRow]:
    """Runs of a queue as they are taken, without those that somebody is just taking."""
    query = select(RunRow).where(RunRow.queue == queue).with_for_update(skip_locked=True)
    return query.order_by(RunRow.priority.desc(), RunRow.created, RunRow.id)


def _count(run: Run) -> int:
    return run.request.count if isinstance(run.request, GenerateRequest) else 1


def _is_alike(row: RunRow, request: Request) -> bool:
    """Whether a run can be carried out together with a request: the key in its row may come from a forged backup."""
    try:
        return run_of(row).request.batch_key == request.batch_key
    except UnreadableRun:
        return True  # taking it makes it fail


def _wished(row: RunRow) -> int:
    """The number of pictures in a row that may be damaged."""
    wish: Any = cast(Any, row.request).get("count") if isinstance(cast(Any, row.request), dict) else None
    return wish if isinstance(wish, int) else 1
