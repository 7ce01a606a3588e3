"""/v1/verify: whether Limner made an image, and whether it was changed since."""

from __future__ import annotations

import tempfile
from datetime import datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from anyio import fail_after, to_process, to_thread
from fastapi import APIRouter, Request
from pydantic import BaseModel

from limner.core.accounts import Caller
from limner.core.runs import Run
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep
from limner.server.files import BINARY
from limner.server.problems import HTTPError, http_status
from limner.server.uploads import save_body
from limner.studio.images import examine
from limner.studio.runs import QUEUE

EXAMINATION_SECONDS = 60.0
"""Most seconds for one image; then the process that examines it is killed."""
IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "application/octet-stream")
_IMAGE = {"requestBody": {"required": True, "content": dict.fromkeys(IMAGE_TYPES, BINARY)}}
router = APIRouter(prefix="/v1", tags=["verify"])


class LabelReply(BaseModel):
    """The label in the metadata of an image. adapters: their names."""

    version: str
    model: str
    adapters: list[str]
    seed: int


class WatermarkReply(BaseModel):
    """The invisible watermark. name: null if it is not found. chance: how likely an image without a watermark gives
    a match this good. run: the run that made an image of this name.
    """

    name: str | None
    chance: float
    mirrored: bool
    run: str | None


class VerificationReply(BaseModel):
    """What is known about an image.

    state: `ours` and `trusted` are unchanged since this server, or a signer that it trusts, signed them. `foreign` is
    unchanged since an unknown signer signed it. `changed` differs from what was signed. `stripped` has Limner's
    watermark or label, but no credentials. `unknown` has no sign of Limner. told: the state as a sentence. unchanged:
    null if it cannot be decided. source: the IPTC digital source type.
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
    mark: WatermarkReply | None
    run: str | None


@router.post("/verify", openapi_extra=_IMAGE)
async def verify_image(request: Request, state: StateDep, caller: CallerDep) -> VerificationReply:
    """Verify the image in the body (PNG, JPEG or WebP): whether Limner made it, and whether it was changed since. The
    image is not stored.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "upload"
        await save_body(request, place, state.settings.upload_bytes)
        return await verify_file(place, state, caller)


async def verify_file(place: Path, state: ServerState, caller: Caller) -> VerificationReply:
    """Return what is known about an image in a file."""
    async with state.examinations.slot(caller.account):
        found = await _examine(place, state.studio.home)
    visible = partial(_is_visible, caller)
    verdict = await to_thread.run_sync(partial(state.studio.images.with_maker, found, place, visible))
    return VerificationReply.model_validate(verdict.model_dump(exclude={"message"}) | {"told": verdict.message})


async def _examine(place: Path, home: Path) -> Any:
    """Examine an image in a process that is killed when it takes too long; raises HTTPError (422) if it fails."""
    try:
        with http_status(HTTPStatus.UNPROCESSABLE_ENTITY), fail_after(EXAMINATION_SECONDS):
            return await to_process.run_sync(examine, place, home, cancellable=True)
    except TimeoutError as error:
        problem = f"the image could not be examined in {EXAMINATION_SECONDS:g} seconds"
        raise HTTPError(HTTPStatus.UNPROCESSABLE_ENTITY, problem, "save it again, or make it smaller") from error


def _is_visible(caller: Caller, run: Run) -> bool:
    """Return whether the caller may see a run."""
    return run.queue == QUEUE and caller.scope in (None, run.owner)
