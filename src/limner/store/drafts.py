"""Drafts of trainings, which the pages save with every change."""

from __future__ import annotations

import builtins
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError
from sqlalchemy import delete, func, not_, or_, select
from sqlalchemy.orm import Session

from limner.core.drafts import DELETED, RESTORE, Draft
from limner.core.errors import LimnerError, describe_value_error
from limner.store.patterns import RUN_LETTERS
from limner.store.sessions import Database
from limner.store.tables import DraftRow

MAX_DRAFTS = 500
"""The most that an account may have, and the most that are kept of those that are deleted or empty."""
KEPT = timedelta(days=1)
"""How long a deleted draft can be restored, and an empty one is kept."""

_CONTAINERS = ("choices", "fields", "images")


class DraftStore:
    """The drafts of all accounts."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def list(
        self, owner: str, limit: int | None = None, skip: int = 0, *, removed: bool = False, begun: bool = False
    ) -> builtins.list[Draft]:
        """The drafts of an account that are not deleted, the last changed first.

        removed: the deleted ones instead. begun: without those that never changed, and so have nothing in them.
        """
        query = select(DraftRow).where(DraftRow.owner == owner, DraftRow.removed.is_(removed))
        query = query.where(DraftRow.version > 1) if begun else query
        with self.database.session() as session:
            rows = session.scalars(query.order_by(DraftRow.saved.desc(), DraftRow.id).offset(skip).limit(limit))
            return [_draft(row) for row in rows]

    def trainings(self, owner: str) -> frozenset[str]:
        """The ids of the training runs of an account's drafts, without reading their images."""
        query = select(DraftRow.choices).where(DraftRow.owner == owner, DraftRow.removed.is_(False))
        with self.database.session() as session:
            found = [*session.scalars(query)]
        return frozenset(
            str(run) for each in found for run in (each.get("train"), *(each.get("trainings") or ())) if run
        )

    def waiting(self) -> builtins.list[Draft]:
        """The drafts of all accounts whose training is to be queued once their dataset is prepared."""
        with self.database.session() as session:
            return [_draft(row) for row in session.scalars(select(DraftRow).where(DraftRow.waits.is_(True)))]

    def get(self, owner: str, draft: str) -> Draft:
        """A draft of an account. Raises LimnerError if it has none with this id."""
        with self.database.session() as session:
            return _draft(_row(session, owner, draft))

    def add(self, owner: str) -> Draft:
        """Add an empty draft. Raises LimnerError if there are too many."""
        now = datetime.now(UTC)
        own = DraftRow.owner == owner
        spare = or_(DraftRow.removed, DraftRow.version == 1)
        with self.database.writing() as session:
            session.execute(delete(DraftRow).where(own, spare, DraftRow.saved < now - KEPT))
            newest = select(DraftRow.id).where(own, spare).order_by(DraftRow.saved.desc(), DraftRow.id)
            if older := [*session.scalars(newest.offset(MAX_DRAFTS - 1))]:
                session.execute(delete(DraftRow).where(own, DraftRow.id.in_(older)))
            count = select(func.count()).select_from(DraftRow).where(own, not_(spare))
            if (session.scalar(count) or 0) >= MAX_DRAFTS:
                raise LimnerError(f"there are {MAX_DRAFTS} drafts already", "delete some first")
            name = "".join(secrets.choice(RUN_LETTERS) for _ in range(12))
            row = DraftRow(id=name, owner=owner, version=1, choices={}, images=[], created=now, saved=now)
            session.add(row)
            session.flush()
            return _draft(row)

    def change(self, owner: str, draft: str, change: Callable[[Draft], Draft]) -> Draft:
        """Replace a draft by what `change` makes of it, and raise its version; an unchanged one stays as it is.

        No other change comes between. Raises what `change` raises, and LimnerError for an unknown draft, for a deleted
        one that the change does not restore, and for one that would have more than a draft may have.
        """
        with self.database.writing() as session:
            row = _row(session, owner, draft)
            before = _draft(row)
            after = change(before)
            if after != before:
                if before.choices.removed and after.choices.removed:
                    raise LimnerError(DELETED, RESTORE)
                after = _checked(after)
                row.version = before.version + 1
                row.choices = after.choices.model_dump(mode="json", exclude_defaults=True)
                row.images = [image.model_dump(mode="json", exclude_defaults=True) for image in after.images]
                row.waits, row.removed = after.choices.waits, after.choices.removed
                row.saved = datetime.now(UTC)
            session.flush()
            return _draft(row)


def _checked(draft: Draft) -> Draft:
    """A changed draft. Raises LimnerError that names what it has too much of."""
    try:
        return Draft.model_validate(draft.model_dump())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = (str(part) for part in first["loc"] if isinstance(part, str) and part not in _CONTAINERS)
        problem = f"{' '.join(place).replace('_', ' ')}: {describe_value_error(first)}"
        raise LimnerError(f"the draft cannot be saved, {problem}", "remove or shorten something first") from error


def _row(session: Session, owner: str, draft: str) -> DraftRow:
    query = select(DraftRow).where(DraftRow.id == draft, DraftRow.owner == owner)
    row = session.scalars(query.with_for_update()).one_or_none()
    if row is None:
        raise LimnerError(f"there is no draft {draft[:40]!r}", "the page Teach lists yours")
    return row


def _draft(row: DraftRow) -> Draft:
    values = {name: getattr(row, name) for name in Draft.model_fields}
    try:
        return Draft.model_validate(values)
    except ValidationError as error:
        raise LimnerError(f"draft {row.id} cannot be read", "begin a new one") from error
