"""Improved adapters that may join those of an industry: when one is trained, and who decides whether it is used."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from limner.core.requests import AdapterUse, Frozen

BlindChoice = Literal["new", "old", "tie"]
BlindSide = Literal["left", "right"]


class PromotionStatus(StrEnum):
    """State of an improved adapter."""

    TRAINING = "training"
    VOTING = "voting"
    PROMOTED = "promoted"
    DECLINED = "declined"
    RESTORED = "restored"
    FAILED = "failed"

    @property
    def open(self) -> bool:
        """Whether it is not decided yet."""
        return self in (PromotionStatus.TRAINING, PromotionStatus.VOTING)


class ImprovementPlan(Frozen):
    """When an industry's adapter is improved from feedback, and what decides whether the new one is used.

    after: new ratings of the industry's images since the last improvement. by: blind votes of people, or metrics alone.
    votes: how many votes, without ties, decide.
    """

    after: Annotated[int, Field(ge=10, le=1_000_000)]
    by: Literal["votes", "metrics"] = "votes"
    votes: Annotated[int, Field(ge=6, le=1000)] = 20
    lesson: Literal["auto", "preference", "kto", "liked"] = "auto"


class PromotionStep(Frozen):
    """A change of the state of a promotion. account: who made it, "" for the service. why: a line for each reason."""

    status: PromotionStatus
    time: datetime
    account: str = ""
    why: tuple[str, ...] = ()


class Promotion(Frozen):
    """An improvement of an industry's adapter, and what became of it.

    original: the adapter that was improved. candidate: the improved one, once it is trained. image: whether it is for
    calls with a base image. run: which trains it; None if that was erased. needed: votes that decide, 0 where metrics
    do. votes: those that count, without ties. new, old: votes for each; None where they are not shown yet. steps: every
    change of its state, the first one first.
    """

    id: int
    industry: str
    image: bool
    original: AdapterUse
    candidate: AdapterUse | None
    run: str | None
    status: PromotionStatus
    needed: int
    votes: int
    new: int | None
    old: int | None
    ties: int
    steps: tuple[PromotionStep, ...]
    created: datetime

    @property
    def why(self) -> tuple[str, ...]:
        """The reasons of its state."""
        return self.steps[-1].why if self.steps else ()

    @property
    def blind(self) -> Promotion:
        """The promotion without what would disclose, vote by vote, which image is the new one."""
        secret = self.status is PromotionStatus.VOTING
        return self.model_copy(update={"new": None, "old": None}) if secret else self
