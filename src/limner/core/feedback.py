"""What people say of pictures: stars, which of two is better, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from limner.core.requests import Frozen, GenerateRequest

STARS = 5


class Reason(StrEnum):
    """What is wrong with a picture, in words that can be counted."""

    WRONG_SUBJECT = "wrong_subject"
    BAD_ANATOMY = "bad_anatomy"
    OFF_PROMPT = "off_prompt"
    WRONG_STYLE = "wrong_style"
    BAD_COMPOSITION = "bad_composition"
    BAD_COLOURS = "bad_colours"
    BAD_TEXT = "bad_text"
    ARTEFACTS = "artefacts"
    BLURRED = "blurred"
    UNSAFE = "unsafe"
    OTHER = "other"


def _each_once(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    return tuple(sorted(set(reasons)))


Reasons = Annotated[tuple[Reason, ...], Field(max_length=len(Reason)), AfterValidator(_each_once)]
Comment = Annotated[str, Field(max_length=2000)]
ByWhat = Literal["model", "adapter", "industry", "style"]


class Rating(Frozen):
    """Stars of one account for one picture, 1 to 5, what was wrong with it, and a word more."""

    stars: int = Field(ge=1, le=STARS, description="1 to 5.")
    reasons: Reasons = Field(default=(), description="What is wrong with it.")
    comment: Comment = Field(default="", description="A word more.")


class Comparison(Frozen):
    """Which of two pictures is the better one; of a tie neither is."""

    better: int
    worse: int
    tie: bool = False
    reasons: Reasons = ()
    comment: Comment = ""

    @model_validator(mode="after")
    def _two(self) -> Comparison:
        if self.better == self.worse:
            raise ValueError(f"picture {self.better} is compared with itself; name two pictures")
        return self


class Picture(Frozen):
    """A picture that a run painted, with what is said of it.

    reference: by which later requests name it, where it is kept by its content. details: what was told of it when it
    was painted, such as its size. mean: of all its ratings, None without any. mine: the rating of who looks.
    """

    id: int
    run: str
    path: str
    sha256: str
    reference: str | None
    created: datetime
    owner: str
    request: GenerateRequest
    details: dict[str, Any]
    tags: dict[str, str]
    mean: float | None
    ratings: int
    mine: Rating | None
    favourite: bool

    def fact(self, name: str) -> Any:
        """What was told of it when it was painted, or what was asked for: steps, guidance, width, height, seed."""
        return self.details.get(name, getattr(self.request, name))


class Collection(Frozen):
    """Pictures under one name."""

    id: int
    name: str
    pictures: int
    created: datetime


class RatingSummary(Frozen):
    """How the pictures of one model, adapter, industry or style were received; name is None for those of none.

    standard_error, low, high: of the mean, and its 95% interval by the normal distribution; None below two ratings.
    """

    name: str | None
    ratings: int
    mean: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    wins: int
    losses: int
    ties: int
    reasons: dict[Reason, int]


class PictureQuery(Frozen):
    """Look pictures up. Conditions that are given all hold."""

    search: str | None = Field(default=None, max_length=1000, description="Text in the prompt, whatever its capitals.")
    negative: str | None = Field(default=None, max_length=1000, description="Text in the negative prompt.")
    model: str | None = Field(default=None, max_length=4096, description="Model, as it was named.")
    adapter: str | None = Field(default=None, max_length=4096, description="Adapter, by its reference or its hash.")
    industry: str | None = Field(default=None, max_length=200, description="Industry of a marketing call.")
    style: str | None = Field(default=None, max_length=200, description="Style of a marketing call.")
    run: str | None = Field(default=None, max_length=64, description="Run that painted them.")
    at_least: float | None = Field(default=None, ge=1, le=STARS, description="Mean rating at least.")
    at_most: float | None = Field(default=None, ge=1, le=STARS, description="Mean rating at most; not unrated ones.")
    unrated: bool = Field(default=False, description="Only those that nobody rated.")
    favourite: bool = Field(default=False, description="Only my favourites.")
    collection: int | None = Field(default=None, ge=1, lt=2**31, description="Only those of this collection.")
    since: datetime | None = Field(
        default=None, description="Painted at this time or later; in UTC where no zone is said."
    )
    until: datetime | None = Field(default=None, description="Painted before this time; likewise.")
    order: Literal["newest", "best"] = Field(default="newest", description="newest or best (by mean rating) first.")
    before: int | None = Field(
        default=None, ge=1, lt=2**31, description="Id of a picture: list those that follow it in this order."
    )
    limit: int = Field(default=50, ge=1, le=1000, description="How many.")

    @field_validator("since", "until")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        try:
            return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))
        except OverflowError as error:
            raise ValueError(f"{value} is beyond all time in UTC") from error

    @model_validator(mode="after")
    def _possible(self) -> PictureQuery:
        for name in ("at_least", "at_most"):
            if self.unrated and (value := getattr(self, name)) is not None:
                raise ValueError(f"unrated pictures have no rating {name} {value:g}; leave one of them out")
        return self
