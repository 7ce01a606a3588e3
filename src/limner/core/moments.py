"""Moments in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator


def utc(moment: datetime) -> datetime:
    """A moment in UTC, which is what one without a time zone means. Raises ValueError beyond the years 1 to 9999."""
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(f"{moment} is out of range in UTC") from error


Moment = Annotated[datetime, AfterValidator(utc)]
"""A moment in UTC, for fields."""
