"""Which feedback an improvement uses: conditions on images, accounts and dates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from limner.core.requests.request import Frozen, Heading, Label

FeedbackKind = Literal["ratings", "pairs"]
FEEDBACK_KINDS: tuple[FeedbackKind, ...] = ("ratings", "pairs")
Filter = Annotated[str | None, Field(max_length=200)]


class FeedbackSelection(Frozen):
    """Which feedback an improvement uses; all conditions that are given must hold.

    The target's own images are chosen by the hash of the adapter, or by the model for images without an adapter.
    """

    industry: Annotated[Filter, Heading.FEEDBACK] = Field(
        default=None, description="Only feedback on images of this industry."
    )
    style: Filter = Field(default=None, description="Only feedback on images of this style.")
    subject: Annotated[Filter, Label("Prompt has")] = Field(
        default=None, description="Only feedback on images whose prompt has these words."
    )
    account: Filter = Field(default=None, description="Only feedback by this account.")
    since: datetime | None = Field(
        default=None, description="Only feedback given at this time or later; UTC if no time zone is given."
    )
    until: datetime | None = Field(
        default=None, description="Only feedback given before this time; UTC if no time zone is given."
    )

    @model_validator(mode="after")
    def _ordered(self) -> FeedbackSelection:
        if self.since and self.until and utc(self.since) >= utc(self.until):
            raise ValueError(f"since ({self.since}) is not before until ({self.until}); exchange them")
        return self


def utc(moment: datetime) -> datetime:
    """A time in UTC, which is what a time without a zone means."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
