"""Webhooks, and what is to be delivered to them: noted in the transaction that ends a run, so that none is lost."""

from __future__ import annotations

import builtins
import secrets
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from limner.core.errors import LimnerError, unknown
from limner.core.webhooks import Delivery, Occasion, Webhook
from limner.store.runs import Store
from limner.store.tables import DeliveryRow, RunRow, WebhookRow

MOST = 20
"""The most webhooks of an account."""
LEASE = timedelta(minutes=2)
"""How long whoever delivers may take before another one tries."""
PAUSES = tuple(timedelta(seconds=pause) for pause in (5, 60, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600))
"""Between one failed try and the next; after the last it is given up."""


class Webhooks:
    """The webhooks of all accounts, and their deliveries."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def add(self, owner: str, url: str, events: tuple[Occasion, ...]) -> tuple[Webhook, str]:
        """A new webhook, with the secret by which its deliveries are signed: 32 bytes as hexadecimal digits."""
        secret = secrets.token_hex(32)
        with self.store.writing() as session:
            if len(session.scalars(select(WebhookRow.id).where(WebhookRow.owner == owner)).all()) >= MOST:
                raise LimnerError(f"there are {MOST} webhooks already", "remove one first")
            row = WebhookRow(
                id=f"wh_{secrets.token_hex(6)}",
                owner=owner,
                url=url,
                secret=secret,
                events=list(events),
                created=datetime.now(UTC),
            )
            session.add(row)
            session.flush()
            return _webhook(row), secret

    def list(self, owner: str | None) -> builtins.list[Webhook]:
        """Those of an account, or of all (None)."""
        with self.store.session() as session:
            query = select(WebhookRow).where(*_of(owner)).order_by(WebhookRow.created)
            return [_webhook(row) for row in session.scalars(query)]

    def remove(self, webhook: str, owner: str | None) -> None:
        """Tell a webhook nothing any more; LimnerError where the account has none of this id."""
        with self.store.writing() as session:
            self._row(session, webhook, owner)
            session.execute(delete(WebhookRow).where(WebhookRow.id == webhook))

    def deliveries(self, webhook: str, owner: str | None, limit: int = 50) -> builtins.list[Delivery]:
        """What a webhook was told, newest first."""
        with self.store.session() as session:
            self._row(session, webhook, owner)
            query = select(DeliveryRow).where(DeliveryRow.webhook == webhook)
            query = query.order_by(DeliveryRow.created.desc(), DeliveryRow.id).limit(limit)
            return [_delivery(row) for row in session.scalars(query)]

    def claim(self) -> tuple[Delivery, str, str] | None:
        """A delivery that is due, the caller's own for a while, with URL and secret; None where there is none."""
        now = datetime.now(UTC)
        with self.store.session() as session:  # a look that keeps no other writer waiting
            if session.scalar(select(DeliveryRow.id).where(DeliveryRow.due <= now).limit(1)) is None:
                return None
        with self.store.writing() as session:
            query = select(DeliveryRow).where(DeliveryRow.due <= now).order_by(DeliveryRow.due).limit(1)
            row = session.scalars(query.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            row.due, row.attempts = now + LEASE, row.attempts + 1
            hook = session.get_one(WebhookRow, row.webhook)
            session.flush()
            return _delivery(row), hook.url, hook.secret

    def settle(self, delivery: str, attempt: int, error: str | None = None) -> None:
        """What became of a try: it arrived, or did not and is tried again until it is given up."""
        now = datetime.now(UTC)
        with self.store.writing() as session:
            row = session.get(DeliveryRow, delivery)
            if row is None or row.attempts != attempt or row.delivered is not None:
                return  # another one tried meanwhile, or the webhook is gone
            row.error = error
            row.delivered = now if error is None else None
            left = error is not None and attempt <= len(PAUSES)
            row.due = now + PAUSES[attempt - 1] if left else None

    def _row(self, session: Session, webhook: str, owner: str | None) -> WebhookRow:
        row = session.scalars(select(WebhookRow).where(WebhookRow.id == webhook, *_of(owner))).one_or_none()
        if row is None:
            raise unknown("webhook", webhook, session.scalars(select(WebhookRow.id).where(*_of(owner))).all())
        return row


def announce(session: Session, run: RunRow) -> None:
    """Note that the webhooks of a run's owner shall be told how it ended."""
    event = f"run.{run.status}"
    now = datetime.now(UTC)
    for hook in session.scalars(select(WebhookRow).where(WebhookRow.owner == run.owner)):
        if event in hook.events:
            told = DeliveryRow(
                id=f"msg_{secrets.token_hex(12)}", webhook=hook.id, run=run.id, event=event, due=now, created=now
            )
            session.add(told)


def _of(owner: str | None) -> tuple[ColumnElement[bool], ...]:
    return () if owner is None else (WebhookRow.owner == owner,)


def _webhook(row: WebhookRow) -> Webhook:
    events = cast(tuple[Occasion, ...], tuple(row.events))
    return Webhook(id=row.id, owner=row.owner, url=row.url, events=events, created=row.created)


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(
        id=row.id,
        webhook=row.webhook,
        run=row.run,
        event=cast(Occasion, row.event),
        attempts=row.attempts,
        due=row.due,
        delivered=row.delivered,
        error=row.error,
        created=row.created,
    )
