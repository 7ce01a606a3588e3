"""Accounts and their keys. A key is kept as its SHA-256 only: it is 256 bits of chance, which nobody guesses."""

from __future__ import annotations

import builtins
import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from hmac import compare_digest

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from limner.core.accounts import Caller, Key, Limits, Role
from limner.core.errors import LimnerError, unknown
from limner.store import patterns
from limner.store.runs import Store
from limner.store.tables import AccountRow, KeyRow

_SECRET = re.compile(rf"limner_({patterns.KEY})_[A-Za-z0-9_-]{{43}}")


class Accounts:
    """Who may use the service, by which keys."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def add_key(
        self, account: str, role: Role | None = None, limits: Limits | None = None, days: int | None = None
    ) -> tuple[Key, str]:
        """A new key of an account, which is made where there is none; with the secret, which is told only now.

        role: of a new account (a maker, unless it is said), or the role that an old one must have.
        """
        if re.fullmatch(patterns.ACCOUNT, account) is None:
            raise LimnerError(
                f"{account!r} is no name of an account", "write up to 64 small letters, digits and any of . _ @ + -"
            )
        if days is not None and not 1 <= days <= 36_500:
            raise LimnerError(f"a key cannot be good for {days} days", "give 1 to 36500, or leave it out")
        now, found = datetime.now(UTC), secrets.token_hex(6)
        secret = f"limner_{found}_{secrets.token_urlsafe(32)}"
        with self.store.writing() as session:
            owner = session.get(AccountRow, account)
            if owner is None:
                owner = AccountRow(name=account, role=role or Role.MAKER, created=now)
                session.add(owner)
                session.flush()
            elif role is not None and owner.role != role:
                raise LimnerError(f"account {account!r} is a {owner.role}", "leave the role out, or change the account")
            row = KeyRow(
                id=found,
                account=account,
                sha256=_sha256(secret),
                created=now,
                expires=None if days is None else now + timedelta(days=days),
                **(limits or Limits()).model_dump(),
            )
            session.add(row)
            session.flush()
            return _key(row, owner), secret

    def caller(self, secret: str) -> Caller | None:
        """Whose key this is; None for one that is unknown, expired or revoked."""
        named = _SECRET.fullmatch(secret)
        if named is None:
            return None
        with self.store.session() as session:
            row = session.get(KeyRow, named[1])
            if row is None or not compare_digest(row.sha256, _sha256(secret)) or not _valid(row):
                return None
            owner = session.get_one(AccountRow, row.account)
            return Caller(account=owner.name, role=Role(owner.role), key=row.id, limits=_limits(row))

    def listed(self) -> builtins.list[Key]:
        """All keys, by account and time."""
        with self.store.session() as session:
            rows = session.execute(_JOINED.order_by(KeyRow.account, KeyRow.created)).all()
            return [_key(*row) for row in rows]

    def revoke(self, key: str) -> Key:
        """Let a key open nothing any more; the account and what it made stay."""
        with self.store.writing() as session:
            row = self._row(session, key)
            if row.revoked is None:
                row.revoked = datetime.now(UTC)
            session.flush()
            return _key(row, session.get_one(AccountRow, row.account))

    def change_role(self, account: str, role: Role) -> None:
        """Give an account another role."""
        with self.store.writing() as session:
            changed = update(AccountRow).where(AccountRow.name == account).values(role=role).returning(AccountRow.name)
            if session.scalars(changed).one_or_none() is None:
                raise unknown("account", account, session.scalars(select(AccountRow.name)).all())

    def has_admin(self) -> bool:
        """Whether some valid key is an admin's."""
        with self.store.session() as session:
            rows = session.execute(_JOINED.where(AccountRow.role == Role.ADMIN)).all()
            return any(_valid(key) for key, _ in rows)

    def _row(self, session: Session, key: str) -> KeyRow:
        row = session.get(KeyRow, key)
        if row is None:
            raise unknown("key", key, session.scalars(select(KeyRow.id).limit(20)).all())
        return row


_JOINED = select(KeyRow, AccountRow).join(AccountRow, AccountRow.name == KeyRow.account)


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _valid(row: KeyRow) -> bool:
    return row.revoked is None and (row.expires is None or row.expires > datetime.now(UTC))


def _limits(row: KeyRow) -> Limits:
    return Limits(per_minute=row.per_minute, pictures_per_day=row.pictures_per_day, kept_bytes=row.kept_bytes)


def _key(row: KeyRow, owner: AccountRow) -> Key:
    return Key(
        id=row.id,
        account=owner.name,
        role=Role(owner.role),
        limits=_limits(row),
        created=row.created,
        expires=row.expires,
        revoked=row.revoked,
    )
