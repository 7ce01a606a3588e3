"""Improvements of the industries' adapters: started by the profile's plan, voted on, promoted and taken back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from limner.core.errors import LimnerError, Unavailable
from limner.core.promotions import BlindSide, Promotion, PromotionStatus
from limner.server.auth import AdminDep, CallerDep
from limner.server.background import repeated
from limner.server.dependencies import StudioDep
from limner.server.files import SANDBOX
from limner.server.problems import HTTPError
from limner.server.profile import Profile
from limner.studio.images import SIDES
from limner.studio.promotions import ShownPair
from limner.studio.studio import Studio

INTERVAL = 60.0
"""Seconds between two looks at the ratings."""
log = logging.getLogger("limner.server")
router = APIRouter(prefix="/v1/promotions", tags=["feedback"])


def improving(studio: Studio, profile: Profile) -> AbstractContextManager[None]:
    """Start and follow the improvements that the profile plans, again and again until the block ends."""

    def move_on() -> None:
        studio.promotions.follow()
        for name, industry in profile.industries.items():
            if industry.improve is None:
                continue
            for image, adapters in ((False, industry.text), (True, industry.picture)):
                defaults = profile.picture if image else profile.text
                model = str(defaults.request.get("model", "starter"))
                try:
                    studio.promotions.start(name, image, adapters, industry.improve, model)
                except Unavailable:
                    raise
                except LimnerError as error:  # of one industry; the others go on
                    log.warning("could not improve the adapters of %s: %s", name, error)

    return repeated("improve adapters", INTERVAL, move_on)


class PairReply(BaseModel):
    """Two images of one prompt, of which one is new. pair: its number. left, right: URLs. vote: yours, null without."""

    pair: int
    prompt: str
    left: str
    right: str
    vote: Literal["left", "right", "tie"] | None


class VoteRequest(BaseModel):
    """A blind vote: which image of a pair is better."""

    pair: int = Field(ge=0, lt=2**31, description="Number of the pair.")
    choice: Literal["left", "right", "tie"] = Field(description="Which image is better, or neither.")


class VoteReply(BaseModel):
    """How many votes count so far, without ties, how many decide, and the state after the vote."""

    status: PromotionStatus
    votes: int
    needed: int


def find_promotion(promotion: Annotated[int, Path(ge=1, lt=2**31)], studio: StudioDep) -> Promotion:
    """Return the promotion that a path names; raises HTTPError (404) if there is none."""
    try:
        return studio.promotions.get(promotion)
    except Unavailable:
        raise
    except LimnerError as error:
        raise HTTPError(HTTPStatus.NOT_FOUND, error.problem, error.remedy) from error


PromotionDep = Annotated[Promotion, Depends(find_promotion)]


def find_pairs(promotion: PromotionDep, studio: StudioDep, caller: CallerDep) -> list[ShownPair]:
    """Return the pairs of a promotion that a caller may vote on; raises HTTPError (404) where there are none, as if
    there was no such promotion.
    """
    pairs = studio.promotions.shown_pairs(promotion, caller)
    if not pairs and caller.scope is not None:
        raise HTTPError(HTTPStatus.NOT_FOUND, f"there is no improvement {promotion.id}", "choose one of the list")
    return pairs


PairsDep = Annotated[list[ShownPair], Depends(find_pairs)]


@router.get("")
def list_promotions(studio: StudioDep, caller: AdminDep) -> list[Promotion]:
    """List the improvements of all industries, newest first. The votes for each side are shown once they decided."""
    return [each.blind for each in studio.promotions.list()]


@router.get("/{promotion}/pairs", responses={404: {}})
def list_pairs(promotion: PromotionDep, pairs: PairsDep) -> list[PairReply]:
    """List the pairs of images that you may vote on, in your order: those of your prompts, or all for an admin."""
    return [
        PairReply.model_validate(
            {
                "pair": each.number,
                "prompt": each.prompt,
                "left": side_url(promotion.id, each.number, "left"),
                "right": side_url(promotion.id, each.number, "right"),
                "vote": each.vote,
            }
        )
        for each in pairs
    ]


@router.get("/{promotion}/pairs/{pair}/{side}", response_class=FileResponse, responses={404: {}})
def download_side(
    promotion: PromotionDep,
    pairs: PairsDep,
    studio: StudioDep,
    pair: Annotated[int, Path(ge=0, lt=2**31)],
    side: BlindSide,
) -> Response:
    """Return the image on one side of a pair as WebP, without anything that says how it was made."""
    found = next((each for each in pairs if each.number == pair), None)
    if found is None:
        raise HTTPError(HTTPStatus.NOT_FOUND, f"there is no pair {pair}", "choose one of the list")
    sha256 = (found.left if side == "left" else found.right).rpartition(":")[2]
    try:
        place = studio.images.thumbnail(sha256, SIDES[-1])
    except Unavailable:
        raise
    except LimnerError as error:
        raise HTTPError(HTTPStatus.NOT_FOUND, "the image was erased", "vote on another pair") from error
    # the sides depend on the account, and an ETag would be one of the file
    headers = {"Cache-Control": "no-store"} | SANDBOX
    return Response(place.read_bytes(), headers=headers, media_type="image/webp")


def side_url(promotion: int, pair: int, side: BlindSide) -> str:
    """Return the URL of an image of a pair, below the site's root."""
    return f"/v1/promotions/{promotion}/pairs/{pair}/{side}"


@router.post("/{promotion}/votes", responses={404: {}, 409: {}})
def cast_vote(
    promotion: PromotionDep, pairs: PairsDep, vote: VoteRequest, studio: StudioDep, caller: CallerDep
) -> VoteReply:
    """Vote on a pair of images, of which one is new. This replaces your earlier vote. The last needed vote decides."""
    after = changed(lambda: studio.promotions.cast(promotion.id, caller, vote.pair, vote.choice))
    return VoteReply(status=after.status, votes=after.votes, needed=after.needed)


@router.post("/{promotion}/promote", responses={404: {}, 409: {}})
def promote(caller: AdminDep, promotion: PromotionDep, studio: StudioDep) -> Promotion:
    """Use an improved adapter for its industry, besides the others."""
    return changed(lambda: studio.promotions.promote(promotion.id, caller.account))


@router.post("/{promotion}/restore", responses={404: {}, 409: {}})
def restore(caller: AdminDep, promotion: PromotionDep, studio: StudioDep) -> Promotion:
    """Use only the old adapters again, or end a vote with them. The improved one stays and can be promoted later."""
    return changed(lambda: studio.promotions.restore(promotion.id, caller.account))


def changed(change: Callable[[], Promotion]) -> Promotion:
    """Return the changed promotion; raises HTTPError (409) where its state does not allow the change."""
    try:
        return change()
    except Unavailable:
        raise
    except LimnerError as error:
        raise HTTPError(HTTPStatus.CONFLICT, error.problem, error.remedy) from error
