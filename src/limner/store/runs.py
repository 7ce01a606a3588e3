"""The history: runs, their events and their artifacts."""

from __future__ import annotations

import builtins
import difflib
import hashlib
import logging
import os
import secrets
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, Unpack

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import JSON, Connection, delete, func, insert, literal, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, unknown
from limner.core.events import Anew, Event, Progress
from limner.core.moderation import Verdict
from limner.core.requests import AnyRequest, parse_request
from limner.core.runs import Artifact, Run, Status
from limner.store import paths
from limner.store.catalogue import catalogue
from limner.store.database import open_engine, sqlite_url, translate_database_errors
from limner.store.patterns import LETTERS
from limner.store.queue_state import QueueStats, queue_stats
from limner.store.quota import charge_images
from limner.store.tables import ArtifactRow, EventRow, RunRow, UtcDateTime, VerdictRow

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_UNFINISHED = [Status.QUEUED, Status.RUNNING, Status.FAILED, Status.INTERRUPTED]
log = logging.getLogger("limner.store")


class RunChanges(TypedDict, total=False):
    """What of a run can change; a key that is left out stays as it is."""

    status: Status
    out: str | None
    error: str | None
    started: datetime | None
    finished: datetime | None


@dataclass(frozen=True, slots=True)
class Lease:
    """By which a worker shows that a queued run is still its own; what it writes after its lease ran out is refused.

    lease: in seconds, how long it lasts without a sign of life.
    """

    run: str
    worker: str
    attempt: int
    lease: float = field(default=30.0, compare=False)


class LeaseLost(LimnerError):
    """A run that a worker held was given to another one, or ended."""

    def __init__(self, hold: Lease) -> None:
        super().__init__(f"run {hold.run} is no longer held by {hold.worker}")


class UnreadableRun(LimnerError):
    """A run whose row this version cannot read: it was written by a newer one, or is damaged."""

    def __init__(self, run_id: str, error: ValueError) -> None:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        said = f"{'.'.join(map(str, first['loc'])) or 'request'}: {first['msg']}" if first else str(error)
        super().__init__(f"run {run_id} cannot be read ({said[:200]})", "update limner, or submit it anew")


class Store:
    """The database and the folders of one home. Safe to use from several threads, and from several processes.

    url: of the database; that of LIMNER_DATABASE, or SQLite in the home, when not given.
    """

    def __init__(self, home: Path | None = None, url: str | None = None) -> None:
        self.home = (home or paths.home()).absolute()
        self._engine = open_engine(url or os.environ.get("LIMNER_DATABASE") or sqlite_url(self.home))

    def create(
        self,
        request: AnyRequest,
        out: str | Path | None = None,
        parent: str | None = None,
        *,
        queue: str | None = None,
        priority: int = 0,
        tags: Mapping[str, str] | None = None,
        caller: Caller | None = None,
        policy: str | None = None,
        verdicts: Iterable[Verdict] = (),
    ) -> Run:
        """A new queued run. `parent` is the id, or a prefix of it, of the run that this one follows.

        queue: from which workers shall take it; None where the caller carries it out. Raises TooMuch for more pictures
        than the caller's key may have in a day. policy: a kept one, by which it is moderated; verdicts: what let it in.
        """
        who = caller or Caller()
        parent = None if parent is None else self.get(parent).id
        reached = tuple(verdicts)
        while True:
            now = datetime.now(UTC)
            row = RunRow(
                id=_new_id(now),
                kind=request.kind,
                request=request.model_dump(mode="json"),
                digest=request.digest,
                batch_key=None if queue is None else request.batch_key,
                status=Status.QUEUED,
                parent=parent,
                out=None if out is None else str(out),
                created=now,
                queue=queue,
                priority=priority,
                tags=dict(tags or {}),
                owner=who.account,
                key=who.key,
                policy=policy,
            )
            try:
                with self.writing() as session:
                    charge_images(session, who, request)
                    session.add(row)
                    session.flush()
                    session.add_all(VerdictRow.of(verdict, policy or "", row.id, who.account) for verdict in reached)
                    return run_of(row)
            except IntegrityError:
                if self._find(row.id) is None:
                    raise

    def get(self, run_id: str) -> Run:
        """The run of this id, or of the one id that begins so; LimnerError when there is none or more than one."""
        run = self._find(run_id)
        if run is not None:
            return run
        if not run_id:
            raise self._unknown(run_id)
        with self.session() as session:
            begun = select(RunRow).where(RunRow.id.startswith(run_id, autoescape=True)).order_by(RunRow.id.desc())
            rows = session.scalars(begun.limit(6)).all()
            if len(rows) > 1:
                ids = ", ".join(row.id for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
                raise LimnerError(f"several runs begin with {run_id!r}: {ids}", "write more of the id")
            if rows:
                return run_of(rows[0])
        raise self._unknown(run_id)

    def list(
        self,
        limit: int,
        kind: str | None = None,
        status: Status | None = None,
        before: str | None = None,
        queue: str | None = None,
        owner: str | None = None,
    ) -> builtins.list[Run]:
        """Runs, newest first; before: the id of a run, to list those older than it. queue, owner: those of one only."""
        query = select(RunRow).order_by(RunRow.created.desc(), RunRow.id.desc()).limit(limit)
        query = query if kind is None else query.where(RunRow.kind == kind)
        query = query if status is None else query.where(RunRow.status == status)
        query = query if queue is None else query.where(RunRow.queue == queue)
        query = query if owner is None else query.where(RunRow.owner == owner)
        if before is not None:
            last = self.get(before)
            query = query.where(tuple_(RunRow.created, RunRow.id) < (last.created, last.id))
        with self.session() as session:
            return list(_readable(session.scalars(query)))

    def update(self, run_id: str, **changes: Unpack[RunChanges]) -> Run:
        """Change a run of exactly this id, and return it as it is now."""
        with self.session() as session:
            query = update(RunRow).where(RunRow.id == run_id).values(**changes).returning(RunRow)
            row = session.scalars(query).one_or_none()
            if row is not None:
                return run_of(row)
        raise self._unknown(run_id)

    def unfinished(self, digest: str) -> builtins.list[Run]:
        """Runs of the request with this digest that are queued, running, failed or interrupted, newest first."""
        query = select(RunRow).where(RunRow.digest == digest, RunRow.status.in_(_UNFINISHED))
        with self.session() as session:
            return list(_readable(session.scalars(query.order_by(RunRow.created.desc(), RunRow.id.desc()))))

    def add_event(self, run_id: str, event: Event, hold: Lease | None = None) -> int:
        """Note what happened; the answer is its number in the run, from 1."""
        with self.of_run(run_id, hold) as session:
            return session.execute(_numbered(run_id, event)).scalar_one()

    def events(self, run_id: str, after: int = 0) -> builtins.list[tuple[int, datetime, Event]]:
        """Number, time and event, in order, of those numbered above `after`; without what cannot be read."""
        query = select(EventRow).where(EventRow.run == run_id, EventRow.seq > after).order_by(EventRow.seq)
        told: builtins.list[tuple[int, datetime, Event]] = []
        with self.session() as session:
            for row in session.scalars(query):
                try:
                    told.append((row.seq, row.time, _EVENT.validate_python(row.payload)))
                except ValidationError:
                    log.warning("event %d of run %s cannot be read", row.seq, run_id)
        return told

    def add_artifact(
        self,
        run_id: str,
        kind: str,
        path: str | Path,
        sha256: str,
        details: Mapping[str, Any] | None = None,
        hold: Lease | None = None,
    ) -> Artifact:
        """Note a file or folder that the run made; what it made at that place before is gone."""
        row = ArtifactRow(
            run=run_id,
            kind=kind,
            path=str(path),
            sha256=sha256,
            reference=(details or {}).get("reference"),
            details=dict(details or {}),
            created=datetime.now(UTC),
        )
        with self.of_run(run_id, hold) as session:
            session.execute(delete(ArtifactRow).where(ArtifactRow.run == run_id, ArtifactRow.path == str(path)))
            session.add(row)
            session.flush()
            if kind == "picture":
                catalogue(session, row, session.get_one(RunRow, run_id))
            return _artifact(row)

    def artifacts(
        self,
        run_id: str | None = None,
        sha256: str | None = None,
        kind: str | None = None,
        limit: int | None = None,
        mark: str | None = None,
    ) -> builtins.list[Artifact]:
        """Artifacts, newest first; mark: those whose details name this one."""
        query = select(ArtifactRow).order_by(ArtifactRow.id.desc()).limit(limit)
        query = query if run_id is None else query.where(ArtifactRow.run == run_id)
        query = query if sha256 is None else query.where(ArtifactRow.sha256 == sha256)
        query = query if kind is None else query.where(ArtifactRow.kind == kind)
        query = query if mark is None else query.where(ArtifactRow.details["mark"].as_string() == mark)
        with self.session() as session:
            return [_artifact(row) for row in session.scalars(query)]

    def artifacts_of(self, run_ids: Iterable[str]) -> dict[str, builtins.list[Artifact]]:
        """The artifacts of several runs by the run's id, each newest first, by one query."""
        made: dict[str, builtins.list[Artifact]] = {run_id: [] for run_id in run_ids}
        query = select(ArtifactRow).where(ArtifactRow.run.in_(made)).order_by(ArtifactRow.id.desc())
        with self.session() as session:
            for row in session.scalars(query):
                made[row.run].append(_artifact(row))
        return made

    def forget_made(self, hold: Lease, keep: Collection[str] = ()) -> None:
        """Take back what earlier attempts at a run made, but for the kinds to keep, and tell so where there were any.

        Of what an attempt told, nothing can be unsaid: who listened knows by the event what of it holds no more.
        """
        theirs = delete(ArtifactRow).where(ArtifactRow.run == hold.run, ArtifactRow.kind.not_in(keep))
        with self.of_run(hold.run, hold) as session:
            gone = tuple(session.scalars(theirs.returning(ArtifactRow.sha256)))
            if gone or session.scalar(select(EventRow.seq).where(EventRow.run == hold.run).limit(1)) is not None:
                session.execute(_numbered(hold.run, Anew(attempt=hold.attempt, gone=gone)))

    def state(self) -> QueueStats:
        """How the work of all queues stands."""
        with self.session() as session:
            return queue_stats(session)

    def folder(self, run_id: str) -> Path:
        """The folder of a run's working files and checkpoints; created."""
        return paths.run_folder(self.home, self.get(run_id).id)

    @property
    def stamp(self) -> str:
        """By which what belongs to this database is told from what belongs to another one."""
        return hashlib.sha256(self._engine.url.set(password=None).render_as_string().encode()).hexdigest()[:16]

    def ended_among(self, run_ids: Collection[str]) -> builtins.list[str]:
        """Those of these runs that have ended."""
        going = (Status.QUEUED, Status.RUNNING)
        with self.session() as session:
            return list(session.scalars(select(RunRow.id).where(RunRow.id.in_(run_ids), RunRow.status.not_in(going))))

    @property
    def on_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    def raw_connection(self) -> Any:
        """A connection of the database's own driver, which whoever asks for it closes."""
        with translate_database_errors(self._engine.url):
            connection = self._engine.raw_connection()
            own = connection.driver_connection
            connection.detach()
            return own

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    @contextmanager
    def session(self) -> Generator[Session]:
        """One transaction, kept when the block ends well."""
        with translate_database_errors(self._engine.url), Session(self._engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Generator[Session]:
        """One transaction that looks and then writes: no other writer comes between, on SQLite by waiting for all."""
        with self.session() as session:
            if self.on_sqlite:
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """One transaction that only reads: all that it sees is of one moment, whatever others write meanwhile."""
        with translate_database_errors(self._engine.url), self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            else:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def of_run(self, run_id: str, hold: Lease | None) -> Generator[Session]:
        """A transaction that adds something to a run; raises LimnerError when there is no such run, Lost when it is
        held no longer.
        """
        try:
            with self.writing() as session:
                query = select(RunRow).where(RunRow.id == run_id).with_for_update()
                row = session.scalars(query).one_or_none()
                if hold is not None and (row is None or not has_lease(row, hold)):
                    raise LeaseLost(hold)
                yield session
        except IntegrityError as error:
            if self._find(run_id) is None:
                raise self._unknown(run_id) from error
            raise

    def _find(self, run_id: str) -> Run | None:
        with self.session() as session:
            row = session.get(RunRow, run_id)
            return None if row is None else run_of(row)

    def _unknown(self, run_id: str) -> LimnerError:
        """The error for an id that is not there, with the nearest among the latest thousand."""
        with self.session() as session:
            ids = session.scalars(select(RunRow.id).order_by(RunRow.id.desc()).limit(1000)).all()
        return unknown("run", run_id, difflib.get_close_matches(run_id, ids, n=3, cutoff=0.5) or ids[:3])


def _new_id(now: datetime) -> str:
    return f"{now:%y%m%d-%H%M%S}-{''.join(secrets.choice(LETTERS) for _ in range(4))}"


def has_lease(row: RunRow, hold: Lease) -> bool:
    """Whether a run is still carried out by whom it was given to."""
    return (row.status, row.worker, row.attempt) == (Status.RUNNING, hold.worker, hold.attempt)


def run_of(row: RunRow) -> Run:
    """The run that a row tells of; raises Unreadable where this version cannot say what that is."""
    try:
        return Run(
            id=row.id,
            request=parse_request(row.request),
            status=Status(row.status),
            parent=row.parent,
            out=row.out,
            queue=row.queue,
            priority=row.priority,
            attempt=row.attempt,
            progress=_progress(row),
            tags=row.tags,
            owner=row.owner,
            key=row.key,
            policy=row.policy,
            error=row.error,
            created=row.created,
            started=row.started,
            finished=row.finished,
        )
    except ValueError as error:
        raise UnreadableRun(row.id, error) from error


def _progress(row: RunRow) -> Progress | None:
    """How far a run is, where that can be read; the next sign of life tells it anew."""
    try:
        return None if row.progress is None else Progress.model_validate(row.progress)
    except ValidationError:
        return None


def _readable(rows: Iterable[RunRow]) -> Iterator[Run]:
    """The runs of rows, without those that cannot be read."""
    for row in rows:
        try:
            yield run_of(row)
        except UnreadableRun as error:
            log.warning("%s", error)


def _numbered(run_id: str, event: Event) -> ReturningInsert[int]:
    """Adds an event with the next number of its run, and answers that."""
    row = select(
        literal(run_id),
        func.coalesce(func.max(EventRow.seq), 0) + 1,
        literal(datetime.now(UTC), UtcDateTime),
        literal(event.kind),
        literal(event.model_dump(mode="json"), JSON),
    ).where(EventRow.run == run_id)
    return insert(EventRow).from_select(["run", "seq", "time", "kind", "payload"], row).returning(EventRow.seq)


def _artifact(row: ArtifactRow) -> Artifact:
    return Artifact(
        id=row.id,
        run=row.run,
        kind=row.kind,
        path=row.path,
        sha256=row.sha256,
        details=row.details,
        created=row.created,
    )
