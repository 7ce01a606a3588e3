"""Feedback on images: ratings in stars, comparisons of two images, and reasons."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from limner.core.discover import colour_of
from limner.core.execution import Execution
from limner.core.moments import Moment
from limner.core.requests import Flag, Frozen, GenerateRequest

STARS = 5


class Reason(StrEnum):
    """What is wrong with an image."""

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
    """One account's rating of one image: 1 to 5 stars, reasons and a comment."""

    stars: Annotated[int, Flag(positional=True)] = Field(ge=1, le=STARS, description="1 to 5.")
    reasons: Reasons = Field(default=(), description="What is wrong with it.")
    comment: Comment = Field(default="", description="Comment.")


class Comparison(Frozen):
    """Which of two images is better; in a tie neither is."""

    better: int
    worse: int
    tie: bool = False
    reasons: Reasons = ()
    comment: Comment = ""

    @model_validator(mode="after")
    def _two(self) -> Comparison:
        if self.better == self.worse:
            raise ValueError(f"image {self.better} is compared with itself; give two images")
        return self


class GeneratedImage(Frozen):
    """A generated image with its ratings.

    reference: its name in later requests, if it is stored by content. details: facts recorded when it was generated,
    such as its size. mean: of all its ratings, None without any. mine: the rating by the caller.
    """

    id: int
    run: str
    path: str
    sha256: str
    reference: str | None
    created: datetime
    owner: str
    request: GenerateRequest
    execution: Execution = Field(default_factory=Execution)
    details: dict[str, Any]
    tags: dict[str, str]
    mean: float | None
    ratings: int
    mine: Rating | None
    favourite: bool

    @property
    def location(self) -> str:
        """Where its file is: its path on this machine, or else its reference."""
        return self.path if self.reference is None or Path(self.path).is_file() else self.reference

    def fact(self, name: str) -> Any:
        """A recorded detail, or else the request's value: steps, guidance, width, height, seed."""
        return self.details.get(name, getattr(self.request, name))


class Collection(Frozen):
    """A named collection of images."""

    id: int
    name: str
    pictures: int
    created: datetime


class CollectionRequest(Frozen):
    """The name of a collection."""

    name: str = Field(min_length=1, max_length=100, examples=["Summer campaign"])

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if not value.strip() or not value.isprintable():
            raise ValueError(f"{value!r} is not a name; use printable characters")
        return value.strip()


class RatingSummary(Frozen):
    """Ratings and comparisons of the images of one model, adapter, industry or style; name is None for those without.

    standard_error, low, high: of the mean, with its 95% interval (normal distribution); None below two ratings.
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


COUNTED_TAGS = ("species", "breed", "background", "extras", "industry", "style")
"""Tags of runs whose values are counted in a gallery; others, such as a client's identifier, differ in every run."""
LISTED_TAGS = ("extras",)
"""Tags whose value is a list, such as "red scarf, hat"."""


TAG_NAME = re.compile("[A-Za-z0-9_]{1,64}")


class ImageFacets(Frozen):
    """How many images of a query have which property, where the query's own condition on that property is left out.

    total: of the query as it is. sizes: width, height and number. adapters: hash, one reference and number. months:
    year, month and number, newest first. stars: by the whole stars of the mean, 0 for unrated images. tags: by the name
    of a tag in COUNTED_TAGS, its values with their numbers, most frequent first.
    """

    total: int
    models: tuple[tuple[str, int], ...]
    adapters: tuple[tuple[str, str, int], ...]
    sizes: tuple[tuple[int, int, int], ...]
    months: tuple[tuple[int, int, int], ...]
    stars: dict[int, int]
    favourites: int
    tags: dict[str, tuple[tuple[str, int], ...]]


class ImageQuery(Frozen):
    """Conditions on images; all that are given must hold."""

    search: str | None = Field(
        default=None,
        max_length=1000,
        description='Words in the prompt, in any order; "in quotes" side by side. Case does not matter.',
    )
    meaning: str | None = Field(
        default=None,
        max_length=1000,
        description="What the prompt should mean, in any words: the closest 300 images, the closest first.",
    )
    like: str | None = Field(
        default=None,
        max_length=200,
        description="Image that they should look like: history/ID, or the sha256:HASH of an uploaded one; the closest "
        "first.",
    )
    colour: str | None = Field(
        default=None, max_length=40, description="Colour that they should have, such as #d04020 or tomato; most first."
    )
    among: tuple[Annotated[int, Field(ge=1, lt=2**31)], ...] | None = Field(
        default=None, max_length=1000, description="Only images with these ids."
    )
    negative: str | None = Field(default=None, max_length=1000, description="Text in the negative prompt.")
    model: str | None = Field(default=None, max_length=4096, description="Model, as the request names it.")
    adapter: str | None = Field(default=None, max_length=4096, description="Adapter, by its reference or hash.")
    industry: str | None = Field(
        default=None, max_length=200, description="Industry named in the call of /generate-image."
    )
    style: str | None = Field(default=None, max_length=200, description="Style named in the call of /generate-image.")
    tag: tuple[Annotated[str, Field(max_length=400)], ...] = Field(
        default=(),
        max_length=20,
        description="Tag of the run that generated them, as NAME=VALUE, such as breed=corgi; may be repeated.",
    )
    run: str | None = Field(default=None, max_length=64, description="Id of the run that generated them.")
    at_least: float | None = Field(default=None, ge=1, le=STARS, description="Minimum mean rating.")
    at_most: float | None = Field(
        default=None, ge=1, le=STARS, description="Maximum mean rating; excludes unrated images."
    )
    unrated: bool = Field(default=False, description="Only unrated images.")
    favourite: bool = Field(default=False, description="Only your favourites.")
    collection: int | None = Field(
        default=None, ge=1, lt=2**31, description="Only images of the collection of this id."
    )
    since: Moment | None = Field(
        default=None, description="Generated at this time or later; UTC if no time zone is given."
    )
    until: Moment | None = Field(default=None, description="Generated before this time; UTC if no time zone is given.")
    width: int | None = Field(default=None, ge=1, lt=2**31, description="Only images of this width in pixels.")
    height: int | None = Field(default=None, ge=1, lt=2**31, description="Only images of this height in pixels.")
    order: Literal["newest", "oldest", "best", "favourites", "listed"] = Field(
        default="newest",
        description="Order: newest first, oldest first, best (highest mean rating) first, your favourites first, or as "
        "listed in `among`.",
    )
    before: int | None = Field(
        default=None, ge=1, lt=2**31, description="Id of an image; lists the images that follow it in this order."
    )
    limit: int = Field(default=50, ge=1, le=1000, description="Maximum number of images to list.")

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        """Name and value of each tag."""
        pairs = (each.partition("=") for each in self.tag)
        return tuple((name.strip(), value.strip()) for name, _, value in pairs)

    @field_validator("colour")
    @classmethod
    def _check_colour(cls, value: str | None) -> str | None:
        return None if value is None or not value.strip() else colour_of(value)

    @field_validator("tag")
    @classmethod
    def _check_tag(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            name, _, wanted = each.partition("=")
            if TAG_NAME.fullmatch(name.strip()) is None or not wanted.strip():
                raise ValueError(f"{each!r} is not NAME=VALUE; write it like breed=corgi")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> ImageQuery:
        for name in ("at_least", "at_most"):
            if self.unrated and (value := getattr(self, name)) is not None:
                raise ValueError(f"unrated images have no rating {name} {value:g}; leave one of them out")
        return self
