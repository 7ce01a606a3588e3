"""Scores that people give an evaluation's images on its blind page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from limner.core.requests import Frozen
from limner.core.requests.request import digest_of
from limner.core.votes import Digest, Id

Criterion = Literal["relevance", "aesthetics", "detail", "uniqueness"]
CRITERIA: tuple[Criterion, ...] = ("relevance", "aesthetics", "detail", "uniqueness")
"""The criteria that people score, as metrics do."""
LOWEST, HIGHEST = 1, 5
MAX_SCORED = 100
"""Most images that one person is asked to score."""
Points = Annotated[int, Field(ge=LOWEST, le=HIGHEST, strict=True)]


class Opinions(Frozen):
    """The scores of one person. evaluation: the hash of its images. ballot: an id of that person on that page, so that
    nobody counts twice. scores: by the image's SHA-256, then by criterion.
    """

    evaluation: Digest
    ballot: Id
    rater: str | None = Field(default=None, max_length=60)
    scores: dict[Digest, dict[Criterion, Points]] = Field(max_length=MAX_SCORED)


def evaluation_of(pictures: Iterable[str]) -> str:
    """The hash that identifies an evaluation: of the SHA-256 of its images, in any order."""
    return digest_of(sorted(pictures))
