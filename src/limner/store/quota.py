"""How many pictures each key asked for in a day. What was asked for counts, whatever becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from limner.core.accounts import Caller
from limner.core.errors import TooMuch
from limner.core.requests import Request
from limner.store.tables import QuotaRow

DAY = timedelta(days=1)


def charge_images(session: Session, who: Caller, request: Request) -> None:
    """Note the pictures that a request asks for; TooMuch where the caller's key may not have them in this day."""
    most = who.limits.pictures_per_day
    if most is None or not request.pictures:
        return
    now = datetime.now(UTC)
    session.execute(delete(QuotaRow).where(QuotaRow.created < now - DAY))
    spent = select(func.sum(QuotaRow.pictures)).where(QuotaRow.key == who.key)
    before = int(session.scalar(spent) or 0)
    if before + request.pictures > most:
        asked = f"{request.pictures} pictures more than the {before} that were asked for in the last 24 hours"
        raise TooMuch(f"{asked} are over {most}", "wait")
    session.add(QuotaRow(key=who.key, pictures=request.pictures, created=now))
