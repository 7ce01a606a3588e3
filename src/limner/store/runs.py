"""The history: runs with their events and artifacts."""

from __future__ import annotations

import builtins
import logging
import secrets
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, Unpack

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import JSON, delete, func, insert, literal, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, ArtifactKind, Event, Notice, Progress, Restarted
from limner.core.execution import Execution, batch_key
from limner.core.moderation import Verdict
from limner.core.nearest_name import nearest_name
from limner.core.requests import AnyRequest, parse_request
from limner.core.requests.request import canonical
from limner.core.runs import Artifact, Run, Status
from limner.core.value_errors import describe_value_error
from limner.store import paths
from limner.store.columns import UtcDateTime
from limner.store.images import index_image
from limner.store.patterns import RUN_LETTERS
from limner.store.quota import charge_images
from limner.store.sessions import Database
from limner.store.tables import ArtifactRow, EventRow, RunRow, VerdictRow

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_UNFINISHED = [Status.QUEUED, Status.RUNNING, Status.FAILED, Status.INTERRUPTED]
log = logging.getLogger("limner.store")


class RunChanges(TypedDict, total=False):
    """The fields of a run that can change; a field that is left out stays as it is."""

    status: Status
    out: str | None
    execution: dict[str, Any]
    error: str | None
    started: datetime | None
    finished: datetime | None


@dataclass(frozen=True, slots=True)
class Admission:
    """How a queued run was moderated. policy: digest of the stored policy. verdicts: of the checks that admitted it."""

    policy: str
    verdicts: Sequence[Verdict] = ()


@dataclass(frozen=True, slots=True)
class Lease:
    """Proves that a worker holds a queued run: a write with an expired lease is refused.

    seconds: how long it lasts unless it is renewed.
    """

    run: str
    worker: str
    attempt: int
    seconds: float = field(default=30.0, compare=False)


class LeaseLost(LimnerError):
    """A run that a worker held was given to another worker, or ended."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(f"run {lease.run} is no longer held by {lease.worker}")


class UnreadableRun(LimnerError):
    """A run whose row this version cannot read: a newer version wrote it, or it is damaged."""

    def __init__(self, row: RunRow, error: ValueError) -> None:
        self.id, self.queue, self.owner = row.id, row.queue, row.owner
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        reason = (
            f"{'.'.join(map(str, first['loc'])) or 'request'}: {describe_value_error(first)}" if first else str(error)
        )
        super().__init__(f"run {row.id} cannot be read ({reason[:200]})", "update limner, or submit it again")


class Store(Database):
    """Runs with their events and artifacts, in the database and the folders of one home."""

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
        admission: Admission | None = None,
        execution: Execution | None = None,
    ) -> Run:
        """Add a queued run.

        parent: id, or the start of the id, of the run that this one continues. queue: from which workers take it; None
        if the caller executes it. admission: how it was moderated. Raises QuotaExceeded if the caller's key may not
        have so many images today.
        """
        who, execution = caller or Caller(), execution or Execution()
        parent = None if parent is None else self.get(parent).id
        policy, verdicts = (None, ()) if admission is None else (admission.policy, admission.verdicts)
        while True:
            now = datetime.now(UTC)
            row = RunRow(
                id=_new_id(now),
                kind=request.kind,
                request=canonical(request),
                execution=execution.model_dump(mode="json", exclude_defaults=True),
                digest=request.digest,
                batch_key=None if queue is None else batch_key(request, execution),
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
                    session.add_all(VerdictRow.of(verdict, policy or "", row.id, who.account) for verdict in verdicts)
                    return run_of(row)
            except IntegrityError:
                if self._find(row.id) is None:
                    raise

    def get(self, run_id: str) -> Run:
        """The run with this id, or with the only id that starts so. Raises LimnerError if there is none, or several."""
        run = self._find(run_id)
        if run is not None:
            return run
        if not run_id:
            raise self._unknown(run_id)
        with self.session() as session:
            matching = select(RunRow).where(RunRow.id.startswith(run_id, autoescape=True)).order_by(RunRow.id.desc())
            rows = session.scalars(matching.limit(6)).all()
            if len(rows) > 1:
                ids = ", ".join(row.id for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
                raise LimnerError(f"several runs begin with {run_id!r}: {ids}", "give more of the id")
            if rows:
                return run_of(rows[0])
        raise self._unknown(run_id)

    def list(
        self,
        limit: int,
        kind: str | Collection[str] | None = None,
        status: Status | None = None,
        before: str | None = None,
        queue: str | None = None,
        owner: str | None = None,
    ) -> builtins.list[Run]:
        """Runs, newest first, without those that wait for their erasure.

        before: id of a run; only older ones. kind: one kind, or several. kind, status, queue, owner: only such runs.
        """
        query = (
            select(RunRow)
            .where(RunRow.erasure.is_(None))
            .order_by(RunRow.created.desc(), RunRow.id.desc())
            .limit(limit)
        )
        kinds = [kind] if isinstance(kind, str) else kind
        query = query if kinds is None else query.where(RunRow.kind.in_(kinds))
        query = query if status is None else query.where(RunRow.status == status)
        query = query if queue is None else query.where(RunRow.queue == queue)
        query = query if owner is None else query.where(RunRow.owner == owner)
        if before is not None:
            last = self.get(before)
            query = query.where(tuple_(RunRow.created, RunRow.id) < (last.created, last.id))
        with self.session() as session:
            return list(readable(session.scalars(query)))

    def counts(self, queue: str, owner: str | None = None) -> dict[tuple[str, Status], int]:
        """How many runs of a queue there are of each kind and status. owner: only those of this account."""
        which = {"queue": queue} if owner is None else {"queue": queue, "owner": owner}
        query = select(RunRow.kind, RunRow.status, func.count()).where(RunRow.erasure.is_(None)).filter_by(**which)
        with self.session() as session:
            rows = session.execute(query.group_by(RunRow.kind, RunRow.status))
            return {(kind, Status(status)): count for kind, status, count in rows}

    def update(self, run_id: str, **changes: Unpack[RunChanges]) -> Run:
        """Change the run with exactly this id; returns it as it is now."""
        with self.session() as session:
            query = update(RunRow).where(RunRow.id == run_id).values(**changes).returning(RunRow)
            row = session.scalars(query).one_or_none()
            if row is not None:
                return run_of(row)
        raise self._unknown(run_id)

    def tag(self, run_id: str, name: str, value: str) -> Run:
        """Set a tag of the run with exactly this id, or remove it if the value is empty; returns the run."""
        with self.writing() as session:
            row = session.scalars(select(RunRow).where(RunRow.id == run_id).with_for_update()).one_or_none()
            if row is not None:
                row.tags = {
                    **{key: old for key, old in row.tags.items() if key != name},
                    **({name: value} if value else {}),
                }
                session.flush()
                return run_of(row)
        raise self._unknown(run_id)

    def unfinished(self, digest: str) -> builtins.list[Run]:
        """Queued, running, failed and interrupted runs of the request with this digest, newest first."""
        query = select(RunRow).where(RunRow.digest == digest, RunRow.status.in_(_UNFINISHED))
        with self.session() as session:
            return list(readable(session.scalars(query.order_by(RunRow.created.desc(), RunRow.id.desc()))))

    def add_event(self, run_id: str, event: Event, lease: Lease | None = None) -> int:
        """Add an event; returns its number in the run, from 1."""
        with self.run_transaction(run_id, lease) as session:
            return session.execute(_insert_event(run_id, event)).scalar_one()

    def events(self, run_id: str, after: int = 0) -> builtins.list[tuple[int, datetime, Event]]:
        """Number, time and event of those numbered above `after`, in order. Unreadable events are left out."""
        query = select(EventRow).where(EventRow.run == run_id, EventRow.seq > after).order_by(EventRow.seq)
        found: builtins.list[tuple[int, datetime, Event]] = []
        with self.session() as session:
            for row in session.scalars(query):
                try:
                    found.append((row.seq, row.time, _EVENT.validate_python(row.payload)))
                except ValidationError:
                    log.warning("event %d of run %s cannot be read", row.seq, run_id)
        return found

    def notices_of(self, run_ids: Iterable[str], limit: int = 20) -> dict[str, builtins.list[str]]:
        """The texts of the first notices of several runs by run id, each text once. limit: notices of each run."""
        found: dict[str, dict[str, None]] = {run_id: {} for run_id in run_ids}
        place = func.row_number().over(partition_by=EventRow.run, order_by=EventRow.seq).label("place")
        notices = select(EventRow.run, EventRow.payload, place).where(
            EventRow.run.in_(found), EventRow.kind == Notice.model_fields["kind"].default
        )
        first = notices.subquery()
        query = select(first.c.run, first.c.payload).where(first.c.place <= limit).order_by(first.c.run, first.c.place)
        with self.session() as session:
            for run, payload in session.execute(query):
                found[run][str(payload.get("text", ""))] = None
        return {run: builtins.list(texts) for run, texts in found.items()}

    def add_artifact(
        self,
        run_id: str,
        kind: str,
        path: str | Path,
        sha256: str,
        details: Mapping[str, Any] | None = None,
        lease: Lease | None = None,
    ) -> Artifact:
        """Add a file or folder that the run made. It replaces the run's artifact at the same path."""
        row = ArtifactRow(
            run=run_id,
            kind=kind,
            path=str(path),
            sha256=sha256,
            reference=(details or {}).get("reference"),
            details=dict(details or {}),
            created=datetime.now(UTC),
        )
        with self.run_transaction(run_id, lease) as session:
            session.execute(delete(ArtifactRow).where(ArtifactRow.run == run_id, ArtifactRow.path == str(path)))
            session.add(row)
            session.flush()
            if kind == "picture":
                index_image(session, row, session.get_one(RunRow, run_id))
            return _artifact(row)

    def artifacts(
        self,
        run_id: str | None = None,
        sha256: str | None = None,
        kind: str | None = None,
        limit: int | None = None,
        mark: str | None = None,
    ) -> builtins.list[Artifact]:
        """Artifacts, newest first. mark: only those with this watermark name in their details."""
        query = select(ArtifactRow).order_by(ArtifactRow.id.desc()).limit(limit)
        query = query if run_id is None else query.where(ArtifactRow.run == run_id)
        query = query if sha256 is None else query.where(ArtifactRow.sha256 == sha256)
        query = query if kind is None else query.where(ArtifactRow.kind == kind)
        query = query if mark is None else query.where(ArtifactRow.details["mark"].as_string() == mark)
        with self.session() as session:
            return [_artifact(row) for row in session.scalars(query)]

    def artifacts_of(self, run_ids: Iterable[str]) -> dict[str, builtins.list[Artifact]]:
        """The artifacts of several runs by run id, each newest first, in one query."""
        made: dict[str, builtins.list[Artifact]] = {run_id: [] for run_id in run_ids}
        query = select(ArtifactRow).where(ArtifactRow.run.in_(made)).order_by(ArtifactRow.id.desc())
        with self.session() as session:
            for row in session.scalars(query):
                made[row.run].append(_artifact(row))
        return made

    def discard_artifacts(self, lease: Lease, keep: Collection[str] = ()) -> None:
        """Delete the artifacts of earlier attempts, except those of the kinds in `keep`, and add an `anew` event.

        Events of earlier attempts stay: the new event lists the hashes of the artifacts that no longer count. There is
        no event before the first one.
        """
        old = delete(ArtifactRow).where(ArtifactRow.run == lease.run, ArtifactRow.kind.not_in(keep))
        with self.run_transaction(lease.run, lease) as session:
            gone = tuple(session.scalars(old.returning(ArtifactRow.sha256)))
            if gone or session.scalar(select(EventRow.seq).where(EventRow.run == lease.run).limit(1)) is not None:
                session.execute(_insert_event(lease.run, Restarted(attempt=lease.attempt, gone=gone)))

    def discard_previews(self, run_id: str, lease: Lease | None = None) -> tuple[set[str], set[str]]:
        """Delete the preview artifacts of a run; returns their paths, and the hashes of all that it ever had."""
        old = delete(ArtifactRow).where(ArtifactRow.run == run_id, ArtifactRow.kind == ArtifactKind.PREVIEW)
        with self.run_transaction(run_id, lease) as session:
            places = set(session.scalars(old.returning(ArtifactRow.path)))
        made = (event for _, _, event in self.events(run_id) if isinstance(event, ArtifactCreated))
        return places, {event.sha256 for event in made if event.what == ArtifactKind.PREVIEW}

    def folder(self, run_id: str) -> Path:
        """The folder of a run's working files and checkpoints; created if missing."""
        return paths.run_folder(self.home, self.get(run_id).id)

    def ended_among(self, run_ids: Collection[str]) -> builtins.list[str]:
        """The ids of those runs that have ended."""
        active = (Status.QUEUED, Status.RUNNING)
        with self.session() as session:
            return list(session.scalars(select(RunRow.id).where(RunRow.id.in_(run_ids), RunRow.status.not_in(active))))

    @contextmanager
    def run_transaction(self, run_id: str, lease: Lease | None) -> Generator[Session]:
        """A transaction that adds rows to a run. Raises LimnerError if there is no such run, and LeaseLost if `lease`
        is given and no longer valid.
        """
        try:
            with self.writing() as session:
                query = select(RunRow).where(RunRow.id == run_id).with_for_update()
                row = session.scalars(query).one_or_none()
                if lease is not None and (row is None or not has_lease(row, lease)):
                    raise LeaseLost(lease)
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
        """The error for an unknown id, with a similar one of the latest thousand."""
        with self.session() as session:
            ids = session.scalars(select(RunRow.id).order_by(RunRow.id.desc()).limit(1000)).all()
        near = nearest_name(run_id, ids)
        remedy = f"did you mean {near!r}? " if near else ""
        return LimnerError(f"unknown run {run_id!r}", f"{remedy}`limner runs` lists the runs")


def _new_id(now: datetime) -> str:
    return f"{now:%y%m%d-%H%M%S}-{''.join(secrets.choice(RUN_LETTERS) for _ in range(4))}"


def has_lease(row: RunRow, lease: Lease) -> bool:
    """Whether a run is still held by the worker of this lease."""
    return (row.status, row.worker, row.attempt) == (Status.RUNNING, lease.worker, lease.attempt)


def run_of(row: RunRow) -> Run:
    """The run in a row. Raises UnreadableRun if this version cannot read it."""
    try:
        return Run(
            id=row.id,
            request=parse_request(row.request),
            execution=Execution.model_validate(row.execution),
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
            internal_error=row.internal_error,
            deleted=row.erasure is not None,
            created=row.created,
            started=row.started,
            finished=row.finished,
        )
    except ValueError as error:
        raise UnreadableRun(row, error) from error


def _progress(row: RunRow) -> Progress | None:
    """The progress in a row; None if it cannot be read, as the next renewal overwrites it."""
    try:
        return None if row.progress is None else Progress.model_validate(row.progress)
    except ValidationError:
        return None


def readable(rows: Iterable[RunRow]) -> Iterator[Run]:
    """The runs in rows. Unreadable ones are logged and left out."""
    for row in rows:
        try:
            yield run_of(row)
        except UnreadableRun as error:
            log.warning("%s", error)


def _insert_event(run_id: str, event: Event) -> ReturningInsert[int]:
    """The statement that inserts an event with the next number of its run and returns the number."""
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
