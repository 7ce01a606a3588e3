"""Webhooks: addresses that are told when a run ends."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from limner.core.requests import Frozen

Occasion = Literal["run.done", "run.failed", "run.cancelled"]


class Webhook(Frozen):
    """An address of an account, and what it is told."""

    id: str
    owner: str
    url: str
    events: tuple[Occasion, ...]
    created: datetime


class Delivery(Frozen):
    """Something told, or to be told, to a webhook. due: when it is tried next, None when no more."""

    id: str
    webhook: str
    run: str
    event: Occasion
    attempts: int = 0
    due: datetime | None = None
    delivered: datetime | None = None
    error: str | None = None
    created: datetime
