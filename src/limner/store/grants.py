"""Grants: which accounts may use which stored files and folders, because they uploaded, made or were given them."""

from __future__ import annotations

import builtins
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import Select, delete, select
from sqlalchemy.exc import IntegrityError

from limner.core.accounts import EVERYONE, Caller, FileGrant
from limner.core.errors import LimnerError
from limner.store.quota import check_bytes, uploaded_bytes
from limner.store.sessions import Database
from limner.store.tables import AccountRow, ArtifactRow, GrantRow, RunRow


class Grants:
    """The grants of all accounts. A file is stored as long as somebody holds a grant, even if no run refers to it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def check(self, caller: Caller, size: int) -> None:
        """Raise QuotaExceeded if the caller's account may not upload `size` bytes more."""
        with self.database.session() as session:
            check_bytes(session, caller, size)

    def add(self, caller: Caller, reference: str, size: int) -> None:
        """Record an upload of `size` bytes by an account. A second upload of the same counts once, as a new one.

        Raises QuotaExceeded as `check` does.
        """
        same = delete(GrantRow).where(GrantRow.owner == caller.account, GrantRow.reference == reference)
        with suppress(IntegrityError), self.database.writing() as session:  # another call recorded it meanwhile
            session.execute(same)
            check_bytes(session, caller, size)
            now = datetime.now(UTC)
            session.add(GrantRow(owner=caller.account, reference=reference, bytes=size, giver=None, created=now))

    def list(self, owner: str | None = None) -> builtins.list[FileGrant]:
        """What an account, or any (None), uploaded or was given, newest first."""
        query = select(GrantRow).order_by(GrantRow.created.desc(), GrantRow.reference)
        with self.database.session() as session:
            rows = session.scalars(query if owner is None else query.where(GrantRow.owner == owner))
            return [FileGrant(**{name: getattr(row, name) for name in FileGrant.model_fields}) for row in rows]

    def given(self, owner: str | None) -> builtins.list[FileGrant]:
        """What an account, or any (None), shares with others, newest first."""
        return [grant for grant in self.list() if grant.giver is not None and owner in (None, grant.giver)]

    def share(self, owner: str | None, reference: str, size: int, other: str) -> None:
        """Share an account's file or folder with another account, or with EVERYONE. owner: None for an admin.

        Raises LimnerError as `check_own` does, and for an account that does not exist.
        """
        self.check_own(owner, reference)
        now = datetime.now(UTC)
        with self.database.writing() as session:
            if other != EVERYONE and session.get(AccountRow, other) is None:
                raise LimnerError(f"there is no account {other!r}", f"name an account that exists, or {EVERYONE!r}")
            if session.get(GrantRow, (other, reference)) is None:
                row = GrantRow(owner=other, reference=reference, bytes=size, giver=owner or "", created=now)
                session.add(row)

    def unshare(self, owner: str | None, reference: str, other: str) -> None:
        """Undo `share`. Raises LimnerError if this account did not share it with the other one."""
        shared = delete(GrantRow).where(GrantRow.owner == other, GrantRow.reference == reference)
        shared = shared.where(GrantRow.giver.is_not(None) if owner is None else GrantRow.giver == owner)
        with self.database.writing() as session:
            if session.scalars(shared.returning(GrantRow.owner)).one_or_none() is None:
                raise LimnerError(f"{reference!r} was not shared with {other!r} by you", "name what you shared")

    def check_own(self, owner: str | None, reference: str) -> None:
        """Raise LimnerError unless an account may share something. owner: None for an admin, who may share anything."""
        if owner is not None and not self.owns(owner, reference):
            raise LimnerError(f"{reference!r} is not yours", "share what you uploaded, or what your runs made")

    def owns(self, owner: str, reference: str) -> bool:
        """Whether an account uploaded something, or one of its runs made it."""
        uploaded = select(GrantRow.owner).where(
            GrantRow.owner == owner, GrantRow.reference == reference, GrantRow.giver.is_(None)
        )
        with self.database.session() as session:
            return session.scalar(uploaded) is not None or bool(session.scalars(_made(owner, [reference])).first())

    def missing(self, owner: str, references: Collection[str]) -> builtins.list[str]:
        """Those of the references that an account may not use."""
        granted = select(GrantRow.reference).where(
            GrantRow.owner.in_((owner, EVERYONE)), GrantRow.reference.in_(references)
        )
        with self.database.session() as session:
            return sorted(
                set(references) - set(session.scalars(granted)) - set(session.scalars(_made(owner, references)))
            )

    def bytes(self, owner: str) -> int:
        """How many bytes an account has uploaded."""
        with self.database.session() as session:
            return uploaded_bytes(session, owner)


def _made(owner: str, references: Collection[str]) -> Select[str | None]:
    """Those of the references that the runs of an account made."""
    made = select(ArtifactRow.reference).join(RunRow, RunRow.id == ArtifactRow.run)
    return made.where(RunRow.owner == owner, ArtifactRow.reference.in_(references))
