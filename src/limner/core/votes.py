"""Votes of people who compared images on a blind page, and the key that names the contestants."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from limner.core.requests import Frozen

Choice = Literal["left", "right", "tie"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Id = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
MAX_PAIRS = 1000
"""Most pairs of a blind page."""


class BlindPair(Frozen):
    """Two images of one prompt and seed, with the indices of their contestants."""

    prompt: str
    seed: int
    left: int = Field(ge=0)
    right: int = Field(ge=0)


class VotesKey(Frozen):
    """What a blind page does not show. comparison: the hash of its images. pairs: by their ids on the page."""

    comparison: Digest
    contestants: tuple[str, ...] = Field(min_length=2, max_length=8)
    pairs: dict[Id, BlindPair] = Field(min_length=1, max_length=MAX_PAIRS)

    @model_validator(mode="after")
    def _known(self) -> VotesKey:
        for pair in self.pairs.values():
            if max(pair.left, pair.right) >= len(self.contestants) or pair.left == pair.right:
                raise ValueError(
                    f"a pair is of contestants {pair.left} and {pair.right}, which are not two of the contestants"
                )
        return self


class Votes(Frozen):
    """The votes of one person. ballot: an id of that person on that page, so that no vote counts twice."""

    comparison: Digest
    ballot: Id
    votes: dict[Id, Choice] = Field(max_length=MAX_PAIRS)
