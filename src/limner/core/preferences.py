"""Feedback as training data: rated images, pairs of a preferred and a rejected image, and which feedback to use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from limner.core.feedback import STARS, Reasons
from limner.core.requests import Frozen, Heading
from limner.core.requests.request import Label

FeedbackKind = Literal["ratings", "pairs"]
FEEDBACK_KINDS: tuple[FeedbackKind, ...] = ("ratings", "pairs")
PairSource = Literal["comparison", "stars", "file"]


class JudgedImage(Frozen):
    """An image that people judged.

    location: its file on this machine, or its reference. model: reference of the base model. adapters: SHA-256 of the
    adapters it was generated with; both None where a file of feedback does not say. seed: of its own initial noise;
    None unless Limner drew the image from noise alone, so that the noise can be drawn again. width, height: in pixels.
    """

    sha256: str
    location: str
    prompt: str
    negative_prompt: str = ""
    model: str | None = None
    adapters: tuple[str, ...] | None = None
    seed: int | None = None
    width: int | None = None
    height: int | None = None


class Judgement(Frozen):
    """One person's rating of an image. rater: a pseudonym, equal for all feedback of one person."""

    image: JudgedImage
    stars: int = Field(ge=1, le=STARS)
    reasons: Reasons = ()
    rater: str = ""
    created: datetime | None = None


class Preference(Frozen):
    """A preferred image and a rejected one of the same prompt, by one person.

    source: a comparison, two ratings by one person, or a file of feedback. reasons: what is wrong with the worse one.
    """

    better: JudgedImage
    worse: JudgedImage
    tie: bool = False
    reasons: Reasons = ()
    rater: str = ""
    source: PairSource = "comparison"
    created: datetime | None = None


class Feedback(Frozen):
    """Ratings and pairs. left_out: a line for each kind of feedback that cannot be used, with how often it occurs."""

    ratings: tuple[Judgement, ...] = ()
    pairs: tuple[Preference, ...] = ()
    left_out: tuple[str, ...] = ()


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


FeedbackSource = Callable[[FeedbackKind | None, FeedbackSelection], Feedback]
"""Returns the recorded feedback that a selection describes: ratings, pairs, or both for None.

Locations of its images are files on this machine."""


def utc(moment: datetime) -> datetime:
    """A time in UTC, which is what a time without a zone means."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
