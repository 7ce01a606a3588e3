"""What people say of an evaluation's pictures that they scored blind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from limner.core.requests import Frozen
from limner.core.requests.request import digest_of
from limner.core.votes import Digest, Id

Criterion = Literal["relevance", "aesthetics", "detail", "uniqueness"]
CRITERIA: tuple[Criterion, ...] = ("relevance", "aesthetics", "detail", "uniqueness")
"""The checklist of an evaluation, which people answer as metrics do."""
LOWEST, HIGHEST = 1, 5
MAX_SCORED = 100
"""The most pictures that one person is asked to score."""
Points = Annotated[int, Field(ge=LOWEST, le=HIGHEST, strict=True)]


class Opinions(Frozen):
    """What one person said. evaluation: the hash of its pictures. ballot: of that person on that page, so that no one
    counts twice. scores: by the picture's SHA-256, and then by what was asked.
    """

    evaluation: Digest
    ballot: Id
    rater: str | None = Field(default=None, max_length=60)
    scores: dict[Digest, dict[Criterion, Points]] = Field(max_length=MAX_SCORED)


def evaluation_of(pictures: Iterable[str]) -> str:
    """The hash by which an evaluation is known: of the SHA-256 of its pictures, in any order."""
    return digest_of(sorted(pictures))
