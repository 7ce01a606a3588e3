"""Webhooks and their deliveries, which are added in the transaction that ends a run, so that none is lost."""

from __future__ import annotations

import builtins
import secrets
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from limner.core.errors import LimnerError, unknown
from limner.core.webhooks import Delivery, Occasion, Webhook
from limner.store.sessions import Database
from limner.store.tables import DeliveryRow, RunRow, WebhookRow

MAX_WEBHOOKS = 20
"""The most webhooks of an account."""
LEASE = timedelta(minutes=2)
"""How long one attempt may take before another process retries the delivery."""
RETRY_DELAYS = tuple(timedelta(seconds=pause) for pause in (5, 60, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600))
"""Between a failed attempt and the next one; after the last delay the delivery is given up."""


class Webhooks:
    """The webhooks of all accounts, and their deliveries."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(self, owner: str, url: str, events: tuple[Occasion, ...]) -> tuple[Webhook, str]:
        """Add a webhook; returns it with the secret that signs its deliveries (32 bytes in hexadecimal)."""
        secret = secrets.token_hex(32)
        with self.database.writing() as session:
            if len(session.scalars(select(WebhookRow.id).where(WebhookRow.owner == owner)).all()) >= MAX_WEBHOOKS:
                raise LimnerError(f"there are {MAX_WEBHOOKS} webhooks already", "remove one first")
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
        """The webhooks of an account, or of all (None)."""
        with self.database.session() as session:
            query = select(WebhookRow).where(*_of(owner)).order_by(WebhookRow.created)
            return [_webhook(row) for row in session.scalars(query)]

    def remove(self, webhook: str, owner: str | None) -> None:
        """Delete a webhook. Raises LimnerError if the account has none with this id."""
        with self.database.writing() as session:
            self._row(session, webhook, owner)
            session.execute(delete(WebhookRow).where(WebhookRow.id == webhook))

    def deliveries(self, webhook: str, owner: str | None, limit: int = 50) -> builtins.list[Delivery]:
        """The deliveries to a webhook, newest first."""
        with self.database.session() as session:
            self._row(session, webhook, owner)
            query = select(DeliveryRow).where(DeliveryRow.webhook == webhook)
            query = query.order_by(DeliveryRow.created.desc(), DeliveryRow.id).limit(limit)
            return [_delivery(row) for row in session.scalars(query)]

    def claim(self) -> tuple[Delivery, str, str] | None:
        """Claim a due delivery for LEASE; returns it with URL and secret, or None if none is due."""
        now = datetime.now(UTC)
        with self.database.session() as session:  # reads only, so that no other writer waits
            if session.scalar(select(DeliveryRow.id).where(DeliveryRow.due <= now).limit(1)) is None:
                return None
        with self.database.writing() as session:
            query = select(DeliveryRow).where(DeliveryRow.due <= now).order_by(DeliveryRow.due).limit(1)
            row = session.scalars(query.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            row.due, row.attempts = now + LEASE, row.attempts + 1
            hook = session.get_one(WebhookRow, row.webhook)
            session.flush()
            return _delivery(row), hook.url, hook.secret

    def settle(self, delivery: str, attempt: int, error: str | None = None) -> None:
        """Record the result of an attempt: delivered (error is None), or failed and retried until it is given up."""
        now = datetime.now(UTC)
        with self.database.writing() as session:
            row = session.get(DeliveryRow, delivery)
            if row is None or row.attempts != attempt or row.delivered is not None:
                return  # another process retried it meanwhile, or the webhook is gone
            row.error = error
            row.delivered = now if error is None else None
            retry = error is not None and attempt <= len(RETRY_DELAYS)
            row.due = now + RETRY_DELAYS[attempt - 1] if retry else None

    def _row(self, session: Session, webhook: str, owner: str | None) -> WebhookRow:
        row = session.scalars(select(WebhookRow).where(WebhookRow.id == webhook, *_of(owner))).one_or_none()
        if row is None:
            raise unknown("webhook", webhook, session.scalars(select(WebhookRow.id).where(*_of(owner))).all())
        return row


def announce(session: Session, run: RunRow) -> None:
    """Add deliveries of a run's end to the webhooks of its owner."""
    event = f"run.{run.status}"
    now = datetime.now(UTC)
    for hook in session.scalars(select(WebhookRow).where(WebhookRow.owner == run.owner)):
        if event in hook.events:
            delivery = DeliveryRow(
                id=f"msg_{secrets.token_hex(12)}", webhook=hook.id, run=run.id, event=event, due=now, created=now
            )
            session.add(delivery)


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
