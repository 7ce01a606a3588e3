"""Improvements of the industries' adapters: started by the profile's plan, voted on, promoted and taken back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from limner.core.errors import LimnerError
from limner.core.promotions import BlindChoice, Promotion
from limner.server.auth import AdminDep, CallerDep
from limner.server.background import repeated
from limner.server.dependencies import StudioDep
from limner.server.problems import HTTPError, Problem
from limner.server.profile import Profile
from limner.studio.studio import Studio

INTERVAL = 60.0
"""Seconds between two looks at the ratings."""
router = APIRouter(
    prefix="/v1/promotions", tags=["feedback"], responses={404: {"model": Problem}, 409: {"model": Problem}}
)


def improving(studio: Studio, profile: Profile, granted: Collection[str]) -> AbstractContextManager[None]:
    """Start and follow the improvements that the profile plans, again and again until the block ends.

    granted: references that the profile names.
    """

    def move_on() -> None:
        studio.promotions.follow()
        for name, industry in profile.industries.items():
            for image in (False, True) if industry.improve else ():
                adapters = industry.picture if image else industry.text
                studio.promotions.start(name, image, adapters, industry.improve, granted)

    return repeated("improve adapters", INTERVAL, move_on)


class VoteRequest(BaseModel):
    """A blind vote: which image of a pair is better."""

    pair: int = Field(ge=0, lt=2**31, description="Number of the pair, from 0.")
    choice: BlindChoice = Field(description="Whose image is better: the new adapter's, the old one's, or neither.")


def find_promotion(promotion: Annotated[int, Path(ge=1, lt=2**31)], studio: StudioDep) -> Promotion:
    """Return the promotion that a path names; raises HTTPError (404) if there is none."""
    try:
        return studio.promotions.get(promotion)
    except LimnerError as error:
        raise HTTPError(HTTPStatus.NOT_FOUND, error.problem, error.remedy) from error


PromotionDep = Annotated[Promotion, Depends(find_promotion)]


@router.get("")
def list_promotions(studio: StudioDep, caller: AdminDep) -> list[Promotion]:
    """List the improvements of all industries, newest first, with votes and reasons."""
    return studio.promotions.list()


@router.post("/{promotion}/votes")
def cast_vote(promotion: PromotionDep, vote: VoteRequest, studio: StudioDep, caller: CallerDep) -> Promotion:
    """Vote on a pair of images of the old and the new adapter. The last of the needed votes decides."""
    return _changed(lambda: studio.promotions.cast(promotion.id, caller.account, vote.pair, vote.choice))


@router.post("/{promotion}/promote")
def promote(promotion: PromotionDep, studio: StudioDep, caller: AdminDep) -> Promotion:
    """Use an improved adapter for its industry, besides the others."""
    return _changed(lambda: studio.promotions.promote(promotion.id, caller.account))


@router.post("/{promotion}/restore")
def restore(promotion: PromotionDep, studio: StudioDep, caller: AdminDep) -> Promotion:
    """Use only the old adapters again. The improved one stays and can be promoted again."""
    return _changed(lambda: studio.promotions.restore(promotion.id, caller.account))


def _changed(change: Callable[[], Promotion]) -> Promotion:
    """Return the changed promotion; raises HTTPError (409) where its state does not allow the change."""
    try:
        return change()
    except LimnerError as error:
        raise HTTPError(HTTPStatus.CONFLICT, error.problem, error.remedy) from error
