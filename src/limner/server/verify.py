"""/v1/verify: whether a picture is ours, and whether it was changed."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path

from anyio import CapacityLimiter, fail_after, move_on_after, to_process, to_thread
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.runs import Run
from limner.server.auth import caller
from limner.server.files import received
from limner.server.problems import Refusal
from limner.server.settings import Settings
from limner.studio.images import examine
from limner.studio.runs import QUEUE
from limner.studio.studio import Studio

AT_ONCE = 2
"""How many pictures are examined at the same time, each in a process: it takes a second of a core."""
SECONDS = 60.0
"""How long an examination may take; then its process is killed."""
WAIT = 60.0
"""How long to wait for others' pictures. An account has one picture examined at a time."""


class LabelReply(BaseModel):
    """What the picture's label says. adapters: their names."""

    version: str
    model: str
    adapters: list[str]
    seed: int


class MarkReply(BaseModel):
    """The invisible mark. name: null where it is lost. chance: that one as good is found in a picture without.

    run: the run that made a picture of that name.
    """

    name: str | None
    chance: float
    mirrored: bool
    run: str | None


class VerdictReply(BaseModel):
    """What is known of a picture.

    state: `ours` and `trusted` were not changed since they were signed, by this installation or by somebody it trusts;
    `foreign` neither, by a signer it does not know; `changed` does not hold what was signed; `stripped` has Limner's
    mark or label and no credentials; of `unknown` nothing says that Limner made it. told: the same in a sentence.
    unchanged: null where nothing can tell. source: the IPTC digital source type.
    """

    state: str
    told: str
    unchanged: bool | None
    problems: list[str]
    signer: str | None
    software: str | None
    signed: datetime | None
    source: str | None
    label: LabelReply | None
    mark: MarkReply | None
    run: str | None


@asynccontextmanager
async def turn(*limiters: CapacityLimiter) -> AsyncIterator[None]:
    """Hold a place of each limiter; raises Refusal (503) where they are not free in time."""
    async with AsyncExitStack() as held:
        with move_on_after(WAIT) as late:
            for limiter in limiters:
                await held.enter_async_context(limiter)
        if late.cancelled_caught:
            problem, later = "other pictures are being examined", {"Retry-After": "30"}
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, problem, "try again soon", headers=later)
        yield


def router(studio: Studio, settings: Settings) -> APIRouter:
    """The route of verifying."""
    routes = APIRouter(prefix="/v1", tags=["verify"])
    places = CapacityLimiter(AT_ONCE)
    own: defaultdict[str, CapacityLimiter] = defaultdict(lambda: CapacityLimiter(1))

    def visible(who: Caller, run: Run) -> bool:
        return run.queue == QUEUE and who.scope in (None, run.owner)

    @routes.post("/verify", openapi_extra=_PICTURE)
    async def verified(request: Request, who: Caller = Depends(caller)) -> VerdictReply:
        """Say whether the picture in the body (PNG, JPEG, WebP) is ours, and whether it was changed. It is not kept."""
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "upload"
            await received(request, place, settings.upload_bytes)
            try:
                async with turn(own[who.account], places):
                    with fail_after(SECONDS):
                        found = await to_process.run_sync(examine, place, studio.home, cancellable=True)
            except LimnerError as error:
                raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, error.problem, error.remedy) from error
            except TimeoutError as error:
                problem = f"the picture could not be examined in {SECONDS:g} seconds"
                raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, problem, "save it anew, or make it smaller") from error
            verdict = await to_thread.run_sync(partial(studio.images.with_maker, found, place, partial(visible, who)))
        return VerdictReply.model_validate(verdict.model_dump())

    return routes


_PICTURE = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("image/png", "image/jpeg", "image/webp", "application/octet-stream")
        },
    }
}
