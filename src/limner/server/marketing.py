"""POST /generate-image: an image for a prompt, industry and style, with or without a base image."""

from __future__ import annotations

import secrets
from functools import partial
from http import HTTPStatus
from time import monotonic

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator

from limner.core.accounts import Caller
from limner.core.execution import split_body
from limner.core.runs import Run
from limner.server.auth import CallerDep
from limner.server.bandit import choose_adapter
from limner.server.dependencies import ServerState, StateDep
from limner.server.limits import SUBMISSIONS
from limner.server.problems import HTTPError
from limner.server.replies import ArtifactReply
from limner.server.uploads import store_image_from_url
from limner.server.waiting import wait_until_done
from limner.studio.images import Viewer
from limner.studio.runs import QUEUE

DOWNLOADS = CapacityLimiter(16)
"""Requests with a base image use their own threads, so that slow addresses do not block the others."""
router = APIRouter(tags=["marketing"])


class MarketingRequest(BaseModel):
    """Request to generate a marketing image."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"prompt": "a red mug on the beach", "industry": "food", "style": "watercolour"}]
        },
    )

    prompt: str = Field(
        min_length=1, max_length=20_000, description="What the image shows.", json_schema_extra={"pattern": r"\S"}
    )
    base_image_url: str | None = Field(
        default=None, max_length=2048, description="URL of an image to start from, at a public address."
    )
    industry: str = Field(max_length=200, description="Industry, which selects the adapter.")
    style: str = Field(max_length=200, description="Style, which selects the prompt template.")

    @field_validator("prompt")
    @classmethod
    def _check_prompt(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the prompt is blank; describe the image")
        return value


class MarketingResponse(BaseModel):
    """URL of the image, and how long it took, such as "3.2s". notices: what to know about it; absent if nothing."""

    generated_image_url: str
    generation_time: str = Field(pattern=r"^\d+\.\ds$", examples=["3.2s"])
    notices: list[str] | None = None


@router.post("/generate-image", responses={409: {}, 504: {}}, response_model_exclude_none=True)
async def generate_image(
    call: MarketingRequest, request: Request, state: StateDep, caller: CallerDep
) -> MarketingResponse:
    """Generate an image with an adapter of the industry and the prompt template of the style. The response waits until
    it is done.
    """
    began = monotonic()
    limiter = DOWNLOADS if call.base_image_url else SUBMISSIONS
    run = await run_sync(partial(_submit, state, call, caller), limiter=limiter)
    run = await wait_until_done(state.waiter, request, run, state.settings.wait_seconds)
    artifacts = await run_sync(state.studio.runs.artifacts, run.id, "picture")
    if not artifacts:
        raise HTTPError(HTTPStatus.NOT_FOUND, "the image was erased", "send the request again")
    path = ArtifactReply.of(artifacts[-1]).url
    path = path if state.links is None else await run_sync(state.links.sign, path)
    url = str(request.base_url).rstrip("/") + path
    notices = (await run_sync(state.studio.runs.notices_of, [run.id]))[run.id]
    seconds = f"{monotonic() - began:.1f}s"
    return MarketingResponse(generated_image_url=url, generation_time=seconds, notices=notices or None)


@router.get("/industries")
def list_industries(state: StateDep) -> dict[str, list[str]]:
    """List the industries and styles."""
    return {"industries": list(state.profile.industries), "styles": list(state.profile.styles)}


def _submit(state: ServerState, call: MarketingRequest, caller: Caller) -> Run:
    """Submit the generate request of a call, with one of the industry's adapters."""
    studio, profile, url = state.studio, state.profile, call.base_image_url
    profile.request(call.prompt, call.industry, call.style)  # reports errors before anything is downloaded
    image = None if url is None else store_image_from_url(studio, caller, url, state.settings.upload_bytes)
    tags = {"industry": call.industry.strip().casefold(), "style": call.style.strip().casefold()}
    seed = secrets.randbelow(2**32)
    adapters = profile.adapters(call.industry, image)
    adapter = adapters[0] if adapters else None
    if len(adapters) > 1:
        ratings = studio.feedback.summary(Viewer(queue=QUEUE), "adapter", tags["industry"])
        choice = choose_adapter(adapters, ratings, seed)
        adapter = choice.adapter
        tags |= {"adapter": adapter.path, "chosen": choice.reason, "chance": str(seed)}
    request, execution = split_body(profile.request(call.prompt, call.industry, call.style, image, adapter, seed))
    return studio.enqueue(request, priority=1, tags=tags, caller=caller, granted=state.granted, execution=execution)
