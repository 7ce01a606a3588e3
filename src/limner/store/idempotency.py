"""Answers kept by idempotency key, so that a call that is sent twice is carried out once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete

from limner.core.errors import LimnerError
from limner.store.runs import Store
from limner.store.tables import IdempotencyRow

KEPT = timedelta(days=1)


class InFlight(LimnerError):
    """The first call with this key is not answered yet."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """An HTTP response that is given again."""

    status: int
    headers: dict[str, str]
    body: bytes


class IdempotencyRecords:
    """Keys of an account, each good for one call. patience: after which a call without an answer is thought lost."""

    def __init__(self, store: Store, patience: timedelta) -> None:
        self.store, self.patience = store, patience

    def begin(self, account: str, key: str, digest: str) -> StoredResponse | None:
        """Take a key for a call, whose contents hash to `digest`; the answer where it was given before.

        Raises InFlight while the first call goes on, and LimnerError where that was another one.
        """
        now = datetime.now(UTC)
        with self.store.writing() as session:
            session.execute(delete(IdempotencyRow).where(IdempotencyRow.began < now - KEPT))
            row = session.get(IdempotencyRow, (account, key), with_for_update=True)
            if row is None:
                row = IdempotencyRow(account=account, key=key, digest=digest, began=now, headers={}, body=b"")
                session.add(row)
                return None
            if row.digest != digest:
                raise LimnerError(f"Idempotency-Key {key[:80]!r} was used for another call", "take a new key")
            if row.status is not None:
                return StoredResponse(row.status, row.headers, row.body)
            if row.began > now - self.patience:
                raise InFlight(f"the first call with Idempotency-Key {key[:80]!r} goes on", "wait for its answer")
            row.began = now
            return None

    def keep(self, account: str, key: str, answer: StoredResponse) -> None:
        """Remember what the call was answered."""
        with self.store.writing() as session:
            row = session.get(IdempotencyRow, (account, key))
            if row is not None:
                row.status, row.headers, row.body = answer.status, answer.headers, answer.body

    def forget(self, account: str, key: str) -> None:
        """Let the key be used again, for the call came to nothing."""
        with self.store.writing() as session:
            session.execute(delete(IdempotencyRow).where(IdempotencyRow.account == account, IdempotencyRow.key == key))
