"""Erasures that are recorded now and carried out later, so that they can be undone until then, also after a restart.

What waits for an erasure is marked in its own rows: it is in no list, and nothing new can be made with it.
"""

from __future__ import annotations

import builtins
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from limner.core.errors import LimnerError
from limner.core.runs import Status
from limner.store.blobs import Blobs
from limner.store.erase import EraseSelection, InUse, NotRecorded, RunInProgress, erase, finish_erasures, unmark
from limner.store.references import mentions_in
from limner.store.runs import Store
from limner.store.tables import ArtifactRow, ErasureRow, GrantRow, ImageIndexRow, RunRow

SELECTED = ("runs", "images", "references")
"""The fields of a selection that are stored with an erasure, beside its scope."""
AGAIN = timedelta(minutes=1)
"""When an erasure is tried again that a running job prevented."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure that can be undone. account: who asked for it. name: of the adapter that is deleted; empty for images.

    images, bytes: how many go. due: when it is carried out. runs: that it names, without what was made with them.
    """

    id: str
    account: str
    name: str
    images: int
    bytes: int
    created: datetime
    due: datetime
    runs: tuple[str, ...]

    @property
    def seconds(self) -> int:
        """For how much longer it can be undone."""
        return max(1, round((self.due - datetime.now(UTC)).total_seconds()))


class Erasures:
    """The recorded erasures of all accounts."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store, self._blobs = store, blobs

    def add(
        self, account: str, selection: EraseSelection, *, derived: bool, after: timedelta, name: str = ""
    ) -> Erasure:
        """Record an erasure, as by `erase`; it is carried out after some time. What waits in the queue is cancelled.

        Raises InUse and RunInProgress as `erase` does.
        """
        planned = erase(self._store, self._blobs, selection, derived=derived, dry=True)
        runs, now = [*planned.runs, *planned.derived], datetime.now(UTC)
        images = ImageIndexRow.run.in_(runs) | ImageIndexRow.id.in_(planned.images)
        with self._store.writing() as session:
            row = ErasureRow(
                id=secrets.token_hex(8),
                account=account,
                name=name,
                images=session.scalar(select(func.count()).where(images)) or 0,
                bytes=planned.bytes,
                selection=_stored(selection),
                derived=derived,
                created=now,
                due=now + after,
            )
            session.add(row)
            session.flush()
            going = RunRow.id.in_(runs) & RunRow.erasure.is_(None)
            queued = update(RunRow).where(going, RunRow.status == Status.QUEUED, RunRow.queue.is_not(None))
            session.execute(queued.values(status=Status.CANCELLED, finished=now))
            session.execute(update(RunRow).where(going).values(erasure=row.id))
            session.execute(update(ImageIndexRow).where(images, ImageIndexRow.erasure.is_(None)).values(erasure=row.id))
            return _erasure(row)

    def list(self, account: str | None, *, adapters: bool) -> builtins.list[Erasure]:
        """The erasures of an account, or of any (None), that can be undone, in the order in which they were asked for.

        adapters: of adapters, with what was made with them, or of images alone.
        """
        named = ErasureRow.name != ""
        query = select(ErasureRow).where(*_waiting(), named if adapters else ~named)
        query = query if account is None else query.where(ErasureRow.account == account)
        with self._store.session() as session:
            return [_erasure(row) for row in session.scalars(query.order_by(ErasureRow.created, ErasureRow.id))]

    def undo(self, account: str | None, id: str) -> bool:
        """Forget an erasure of an account, or of any (None); returns whether it was not too late."""
        query = delete(ErasureRow).where(ErasureRow.id == id, *_waiting())
        query = query if account is None else query.where(ErasureRow.account == account)
        with self._store.writing() as session:
            found = session.scalars(query.returning(ErasureRow.id)).one_or_none()
            if found is not None:
                unmark(session, found)
            return found is not None

    def due(self) -> builtins.list[Erasure]:
        """The erasures that are due, in this order."""
        query = select(ErasureRow).where(*_waiting(), ErasureRow.due <= datetime.now(UTC)).order_by(ErasureRow.due)
        with self._store.session() as session:
            return [_erasure(row) for row in session.scalars(query)]

    def carry_out(self, id: str, account: str | None = None) -> bool:
        """Erase now what an erasure names; returns whether it did. account: only if it is this account's.

        False means that it was undone, that another process carried it out, or that a running job prevents it now, so
        that it is tried again. Raises InUse if it cannot be carried out; what it names is shown again then.
        """
        query = select(ErasureRow).where(ErasureRow.id == id, *_waiting())
        query = query if account is None else query.where(ErasureRow.account == account)
        with self._store.session() as session:
            row = session.scalars(query).one_or_none()
            if row is None:
                return False
            selection, derived = _selection(row.selection), row.derived
        try:
            erase(self._store, self._blobs, selection, derived=derived, erasure=id)
        except NotRecorded:
            return False
        except RunInProgress:
            with self._store.session() as session:
                later = update(ErasureRow).where(ErasureRow.id == id).values(due=datetime.now(UTC) + AGAIN)
                session.execute(later)
            return False
        except InUse:
            self.undo(None, id)
            raise
        return True

    def finish(self) -> None:
        """Remove files that erasures left on the disk because a process was killed."""
        finish_erasures(self._store, self._blobs)

    def check(self, references: Collection[str]) -> None:
        """Raise LimnerError if one of these files and folders waits for its erasure."""
        if not references:
            return
        gone = or_(RunRow.erasure.is_not(None), ImageIndexRow.erasure.is_not(None))
        made = (
            select(ArtifactRow.reference, gone)
            .join(RunRow, RunRow.id == ArtifactRow.run)
            .outerjoin(ImageIndexRow, ImageIndexRow.id == ArtifactRow.id)
            .where(ArtifactRow.reference.in_(references))
        )
        uploaded = exists().where(GrantRow.reference == ArtifactRow.reference, GrantRow.giver.is_(None))
        with self._store.session() as session:
            found = session.execute(made.where(~uploaded)).all()
        kept = {reference for reference, deleted in found if not deleted}
        for reference, _ in found:
            if reference not in kept:
                raise LimnerError(
                    f"{str(reference)[:19]} is deleted", "put it back first, in the Library or the Gallery"
                )


def references_to_erase(session: Session) -> set[str]:
    """Mentions of the files and folders that waiting erasures name."""
    selections = [_selection(each) for each in session.scalars(select(ErasureRow.selection).where(*_waiting()))]
    return {mention for each in selections for reference in each.references for mention in mentions_in(reference)}


def _waiting() -> tuple[Any, ...]:
    return (ErasureRow.leftover.is_(None),)


def _erasure(row: ErasureRow) -> Erasure:
    runs = _selection(row.selection).runs
    return Erasure(row.id, row.account, row.name, row.images, row.bytes, row.created, row.due, runs)


def _stored(selection: EraseSelection) -> dict[str, Any]:
    return {name: list(getattr(selection, name)) for name in SELECTED} | {"scope": selection.scope}


def _selection(stored: dict[str, Any]) -> EraseSelection:
    given: dict[str, Any] = {name: tuple(stored[name]) for name in SELECTED}
    return EraseSelection(**given, scope=stored["scope"])
