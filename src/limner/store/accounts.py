"""Accounts, their API keys, sessions of browsers, and secrets that all processes of a service share.

Of a key or session only the SHA-256 is stored. No slow hash is needed: both have 256 random bits.
"""

from __future__ import annotations

import builtins
import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from hmac import compare_digest

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from limner.core.accounts import Caller, Key, Limits, Role
from limner.core.errors import LimnerError, unknown
from limner.store import patterns
from limner.store.sessions import Database
from limner.store.tables import AccountRow, BrowserSessionRow, KeyRow, SecretRow

SESSION = timedelta(days=30)
"""How long a browser stays signed in."""
LONGEST_TOKEN = 200
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
            return _caller(session, row)

    def sign_in(self, secret: str) -> str | None:
        """Begin a session of a browser by a key; returns its token, of which only the hash is stored. None for a key
        that is unknown, expired or revoked.
        """
        caller = self.caller(secret)
        if caller is None:
            return None
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        with self.database.writing() as session:
            session.execute(delete(BrowserSessionRow).where(BrowserSessionRow.expires <= now))
            row = BrowserSessionRow(sha256=_sha256(token), key=caller.key, created=now, expires=now + SESSION)
            session.add(row)
        return token

    def session_caller(self, token: str) -> Caller | None:
        """The caller that is signed in by a token; None once the session or its key has ended."""
        if len(token) > LONGEST_TOKEN:
            return None
        with self.database.session() as session:
            found = session.get(BrowserSessionRow, _sha256(token))
            row = None if found is None else session.get(KeyRow, found.key)
            if found is None or row is None or found.expires <= datetime.now(UTC) or not _valid(row):
                return None
            return _caller(session, row)

    def sign_out(self, token: str) -> None:
        """End a session; nothing happens if there is none."""
        with self.database.writing() as session:
            session.execute(delete(BrowserSessionRow).where(BrowserSessionRow.sha256 == _sha256(token)))

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


def _caller(session: Session, row: KeyRow) -> Caller:
    owner = session.get_one(AccountRow, row.account)
    return Caller(account=owner.name, role=Role(owner.role), key=row.id, limits=_limits(row))


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
