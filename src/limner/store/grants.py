"""Who may use which kept files and folders: what was brought in, made for, or shared with an account."""

from __future__ import annotations

import builtins
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import Delete, Select, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from limner.core.accounts import EVERYONE, Caller, Holding
from limner.core.errors import LimnerError, TooMuch
from limner.store.runs import Store
from limner.store.tables import AccountRow, ArtifactRow, GrantRow, RunRow


class Grants:
    """What accounts may use. It is kept as long as one of them holds it, although no run refers to it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def check(self, who: Caller, size: int) -> None:
        """Raises TooMuch when a caller's account would bring in more than its key allows, with `size` bytes more."""
        with self.store.session() as session:
            _check(session, who, size)

    def add(self, who: Caller, reference: str, size: int) -> None:
        """Note that an account brought in something of `size` bytes; a second time, it counts as new. Raises TooMuch as
        `check` does.
        """
        with suppress(IntegrityError), self.store.writing() as session:  # noted by another call meanwhile
            session.execute(_one(who.account, reference))
            _check(session, who, size)
            now = datetime.now(UTC)
            session.add(GrantRow(owner=who.account, reference=reference, bytes=size, giver=None, created=now))

    def list(self, owner: str | None = None) -> builtins.list[Holding]:
        """What an account, or any (None), brought in or was given, newest first."""
        query = select(GrantRow).order_by(GrantRow.created.desc(), GrantRow.reference)
        with self.store.session() as session:
            rows = session.scalars(query if owner is None else query.where(GrantRow.owner == owner))
            return [
                Holding(owner=row.owner, reference=row.reference, bytes=row.bytes, giver=row.giver, created=row.created)
                for row in rows
            ]

    def share(self, owner: str | None, reference: str, size: int, other: str) -> None:
        """Let another account, or EVERYONE, use what is an account's own; owner: None for an admin, who shares any.

        LimnerError for what is not its own (what others shared with it is not), and for an account that there is not.
        """
        self.check_own(owner, reference)
        now = datetime.now(UTC)
        with self.store.writing() as session:
            if other != EVERYONE and session.get(AccountRow, other) is None:
                raise LimnerError(f"there is no account {other!r}", f"name one that there is, or {EVERYONE!r}")
            if session.get(GrantRow, (other, reference)) is None:
                row = GrantRow(owner=other, reference=reference, bytes=size, giver=owner or "", created=now)
                session.add(row)

    def given(self, owner: str | None) -> builtins.list[Holding]:
        """What an account, or any (None), shares, newest first."""
        return [held for held in self.list() if held.giver is not None and owner in (None, held.giver)]

    def check_own(self, owner: str | None, reference: str) -> None:
        """Raise LimnerError for what is not an account's own to share; owner: None for an admin, who shares any."""
        if owner is not None and not self.owns(owner, reference):
            raise LimnerError(f"{reference!r} is not yours", "share what you uploaded, or had made")

    def owns(self, owner: str, reference: str) -> bool:
        """Whether an account brought something in, or had it made."""
        brought = select(GrantRow.owner).where(
            GrantRow.owner == owner, GrantRow.reference == reference, GrantRow.giver.is_(None)
        )
        with self.store.session() as session:
            return session.scalar(brought) is not None or bool(session.scalars(_made(owner, [reference])).first())

    def take_back(self, owner: str | None, reference: str, other: str) -> None:
        """Undo `share`; LimnerError where this account did not share it with that one."""
        shared = delete(GrantRow).where(GrantRow.owner == other, GrantRow.reference == reference)
        shared = shared.where(GrantRow.giver.is_not(None) if owner is None else GrantRow.giver == owner)
        with self.store.writing() as session:
            if session.scalars(shared.returning(GrantRow.owner)).one_or_none() is None:
                raise LimnerError(f"{reference!r} was not shared with {other!r} by you", "name what you shared")

    def missing(self, owner: str, references: Collection[str]) -> builtins.list[str]:
        """Those that an account may not use."""
        held = select(GrantRow.reference).where(
            GrantRow.owner.in_((owner, EVERYONE)), GrantRow.reference.in_(references)
        )
        with self.store.session() as session:
            return sorted(set(references) - set(session.scalars(held)) - set(session.scalars(_made(owner, references))))

    def bytes(self, owner: str) -> int:
        """How much an account brought in."""
        with self.store.session() as session:
            return _bytes(session, owner)


def _bytes(session: Session, owner: str) -> int:
    query = select(func.sum(GrantRow.bytes)).where(GrantRow.owner == owner, GrantRow.giver.is_(None))
    return int(session.scalar(query) or 0)


def _check(session: Session, who: Caller, size: int) -> None:
    most = who.limits.kept_bytes
    if most is not None and (held := _bytes(session, who.account)) + size > most:
        raise TooMuch(
            f"{size:,} bytes more than the {held:,} that are kept for {who.account!r} are over its {most:,}",
            "have something erased first",
        )


def _one(owner: str, reference: str) -> Delete:
    return delete(GrantRow).where(GrantRow.owner == owner, GrantRow.reference == reference)


def _made(owner: str, references: Collection[str]) -> Select[str | None]:
    """What of these the runs of an account made."""
    made = select(ArtifactRow.reference).join(RunRow, RunRow.id == ArtifactRow.run)
    return made.where(RunRow.owner == owner, ArtifactRow.reference.in_(references))
