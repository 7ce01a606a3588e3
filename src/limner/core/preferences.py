"""Feedback as training data: rated images, pairs of a preferred and a rejected image, and which feedback to use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from pydantic import Field

from limner.core.feedback import STARS, Reasons
from limner.core.requests import Frozen
from limner.core.requests.feedback_selection import FEEDBACK_KINDS, FeedbackKind, FeedbackSelection, utc

__all__ = [
    "FEEDBACK_KINDS",
    "Feedback",
    "FeedbackKind",
    "FeedbackSelection",
    "FeedbackSource",
    "JudgedImage",
    "Judgement",
    "PairSource",
    "Preference",
    "utc",
]
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


FeedbackSource = Callable[[FeedbackKind | None, FeedbackSelection], Feedback]
"""Returns the recorded feedback that a selection describes: ratings, pairs, or both for None.

Locations of its images are files on this machine."""
