"""Quotas of keys and accounts: images in 24 hours, and bytes of stored uploads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from limner.core.accounts import Caller
from limner.core.errors import QuotaExceeded
from limner.core.requests import Request
from limner.store.tables import GrantRow, QuotaRow

DAY = timedelta(days=1)


def charge_images(session: Session, caller: Caller, request: Request) -> None:
    """Charge the images of a request to the caller's key, whatever becomes of the run.

    Raises QuotaExceeded if the key may not have so many in 24 hours.
    """
    limit = caller.limits.pictures_per_day
    if limit is None or not request.image_count:
        return
    now = datetime.now(UTC)
    session.execute(delete(QuotaRow).where(QuotaRow.created < now - DAY))
    charged = select(func.sum(QuotaRow.pictures)).where(QuotaRow.key == caller.key)
    before = int(session.scalar(charged) or 0)
    if before + request.image_count > limit:
        images = f"{request.image_count} images more than the {before} requested in the last 24 hours"
        raise QuotaExceeded(f"{images} are over {limit}", "wait")
    session.add(QuotaRow(key=caller.key, pictures=request.image_count, created=now))


def check_bytes(session: Session, caller: Caller, size: int) -> None:
    """Raise QuotaExceeded if the caller's account may not store `size` bytes more."""
    limit = caller.limits.kept_bytes
    if limit is not None and (stored := uploaded_bytes(session, caller.account)) + size > limit:
        raise QuotaExceeded(
            f"{size:,} bytes more than the {stored:,} that are stored for {caller.account!r} are over its {limit:,}",
            "erase some of them first",
        )


def uploaded_bytes(session: Session, owner: str) -> int:
    """How many bytes an account has uploaded; what others shared with it does not count."""
    query = select(func.sum(GrantRow.bytes)).where(GrantRow.owner == owner, GrantRow.giver.is_(None))
    return int(session.scalar(query) or 0)
