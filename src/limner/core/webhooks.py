"""Webhooks: URLs that receive a request when a run ends."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from limner.core.requests import Frozen

Occasion = Literal["run.done", "run.failed", "run.cancelled"]


class Webhook(Frozen):
    """A URL of an account, and the events it receives."""

    id: str
    owner: str
    url: str
    events: tuple[Occasion, ...]
    created: datetime


class Delivery(Frozen):
    """An event that is delivered to a webhook. due: time of the next try, None if there is none."""

    id: str
    webhook: str
    run: str
    event: Occasion
    attempts: int = 0
    due: datetime | None = None
    delivered: datetime | None = None
    error: str | None = None
    created: datetime
