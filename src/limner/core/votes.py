"""Votes of people who compared pictures blind, and the key that tells whose the pictures were."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from limner.core.requests import Frozen

Choice = Literal["left", "right", "tie"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Id = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
MAX_PAIRS = 1000
"""The most pairs of a blind page."""


class BlindPair(Frozen):
    """Two pictures of one prompt and seed, by the numbers of their contestants from 0."""

    prompt: str
    seed: int
    left: int = Field(ge=0)
    right: int = Field(ge=0)


class VotesKey(Frozen):
    """What a blind page keeps to itself. comparison: the hash of what it shows. pairs: by their ids on the page."""

    comparison: Digest
    contestants: tuple[str, ...] = Field(min_length=2, max_length=8)
    pairs: dict[Id, BlindPair] = Field(min_length=1, max_length=MAX_PAIRS)

    @model_validator(mode="after")
    def _known(self) -> VotesKey:
        for pair in self.pairs.values():
            if max(pair.left, pair.right) >= len(self.contestants) or pair.left == pair.right:
                raise ValueError(f"a pair is of contestants {pair.left} and {pair.right}, which are no two of them")
        return self


class Votes(Frozen):
    """What one person said on a blind page. ballot: of that person on that page, so that no vote counts twice."""

    comparison: Digest
    ballot: Id
    votes: dict[Id, Choice] = Field(max_length=MAX_PAIRS)
