"""Responses stored by idempotency key, so that a call that is sent twice is executed once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete

from limner.core.errors import LimnerError
from limner.store.sessions import Database
from limner.store.tables import IdempotencyRow

LIFETIME = timedelta(days=1)


class InFlight(LimnerError):
    """The first call with this key has no response yet."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """An HTTP response that is sent again for a repeated call."""

    status: int
    headers: dict[str, str]
    body: bytes


class IdempotencyRecords:
    """Idempotency keys by account. timeout: a call without a response for so long counts as lost."""

    def __init__(self, database: Database, timeout: timedelta) -> None:
        self.database, self.timeout = database, timeout

    def begin(self, account: str, key: str, digest: str) -> StoredResponse | None:
        """Claim a key for a call with this digest; the stored response if the call was made before.

        Raises InFlight while the first call is executed, and LimnerError if the key was used for another call.
        """
        now = datetime.now(UTC)
        with self.database.writing() as session:
            session.execute(delete(IdempotencyRow).where(IdempotencyRow.began < now - LIFETIME))
            row = session.get(IdempotencyRow, (account, key), with_for_update=True)
            if row is None:
                row = IdempotencyRow(account=account, key=key, digest=digest, began=now, headers={}, body=b"")
                session.add(row)
                return None
            if row.digest != digest:
                raise LimnerError(f"Idempotency-Key {key[:80]!r} was used for another call", "use a new key")
            if row.status is not None:
                return StoredResponse(row.status, row.headers, row.body)
            if row.began > now - self.timeout:
                raise InFlight(f"the first call with Idempotency-Key {key[:80]!r} still runs", "wait for its answer")
            row.began = now
            return None

    def save(self, account: str, key: str, response: StoredResponse) -> None:
        """Store the response to a call."""
        with self.database.writing() as session:
            row = session.get(IdempotencyRow, (account, key))
            if row is not None:
                row.status, row.headers, row.body = response.status, response.headers, response.body

    def forget(self, account: str, key: str) -> None:
        """Delete a key, so that it can be used again after a call that failed."""
        with self.database.writing() as session:
            session.execute(delete(IdempotencyRow).where(IdempotencyRow.account == account, IdempotencyRow.key == key))
