"""Accounts, their API keys, and secrets that all processes of a service share.

Of a key only the SHA-256 is stored. No slow hash is needed: a key has 256 random bits.
"""

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
from limner.store.sessions import Database
from limner.store.tables import AccountRow, KeyRow, SecretRow

_SECRET = re.compile(rf"limner_({patterns.KEY})_[A-Za-z0-9_-]{{43}}")


class Accounts:
    """The accounts of a service and their keys."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add_key(
        self, account: str, role: Role | None = None, limits: Limits | None = None, days: int | None = None
    ) -> tuple[Key, str]:
        """Add a key to an account, which is created if missing; returns the key and its secret, which is not stored.

        role: of a new account (default: maker), or the role that an existing one must have. days: how long it is valid.
        """
        if re.fullmatch(patterns.ACCOUNT, account) is None:
            raise LimnerError(
                f"{account!r} is not the name of an account", "use up to 64 small letters, digits and any of . _ @ + -"
            )
        if days is not None and not 1 <= days <= 36_500:
            raise LimnerError(f"a key cannot be valid for {days} days", "use 1 to 36500, or leave it out")
        now, key_id = datetime.now(UTC), secrets.token_hex(6)
        secret = f"limner_{key_id}_{secrets.token_urlsafe(32)}"
        with self.database.writing() as session:
            owner = session.get(AccountRow, account)
            if owner is None:
                owner = AccountRow(name=account, role=role or Role.MAKER, created=now)
                session.add(owner)
                session.flush()
            elif role is not None and owner.role != role:
                raise LimnerError(f"account {account!r} is a {owner.role}", "leave the role out, or change the account")
            row = KeyRow(
                id=key_id,
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
        """The caller that a secret belongs to; None if it is unknown, expired or revoked."""
        parts = _SECRET.fullmatch(secret)
        if parts is None:
            return None
        with self.database.session() as session:
            row = session.get(KeyRow, parts[1])
            if row is None or not compare_digest(row.sha256, _sha256(secret)) or not _valid(row):
                return None
            owner = session.get_one(AccountRow, row.account)
            return Caller(account=owner.name, role=Role(owner.role), key=row.id, limits=_limits(row))

    def list(self) -> builtins.list[Key]:
        """All keys, ordered by account and time."""
        with self.database.session() as session:
            rows = session.execute(_JOINED.order_by(KeyRow.account, KeyRow.created)).all()
            return [_key(*row) for row in rows]

    def revoke(self, key: str) -> Key:
        """Revoke a key; the account and its runs stay."""
        with self.database.writing() as session:
            row = self._row(session, key)
            if row.revoked is None:
                row.revoked = datetime.now(UTC)
            session.flush()
            return _key(row, session.get_one(AccountRow, row.account))

    def change_role(self, account: str, role: Role) -> None:
        """Change the role of an account. Raises LimnerError if there is no such account."""
        with self.database.writing() as session:
            changed = update(AccountRow).where(AccountRow.name == account).values(role=role).returning(AccountRow.name)
            if session.scalars(changed).one_or_none() is None:
                raise unknown("account", account, session.scalars(select(AccountRow.name)).all())

    def has_admin(self) -> bool:
        """Whether an admin has a valid key."""
        with self.database.session() as session:
            rows = session.execute(_JOINED.where(AccountRow.role == Role.ADMIN)).all()
            return any(_valid(key) for key, _ in rows)

    def _row(self, session: Session, key: str) -> KeyRow:
        row = session.get(KeyRow, key)
        if row is None:
            raise unknown("key", key, session.scalars(select(KeyRow.id).limit(20)).all())
        return row


def shared_secret(database: Database, name: str) -> bytes:
    """The 32 random bytes that all processes of a service share under a name; made on first use."""
    with database.writing() as session:
        row = session.get(SecretRow, name)
        if row is None:
            row = SecretRow(name=name, value=secrets.token_hex(32))
            session.add(row)
        return bytes.fromhex(row.value)


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
