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
from limner.core.image_sizes import ImageSize, size_fields
from limner.core.requests import GenerateRequest
from limner.core.runs import Run
from limner.server.auth import CallerDep
from limner.server.bandit import choose_adapter
from limner.server.base_images import base_image
from limner.server.dependencies import ServerState, StateDep
from limner.server.limits import SUBMISSIONS
from limner.server.problems import HTTPError
from limner.server.replies import reference_of, url_of
from limner.server.waiting import wait_until_done
from limner.studio.images import Viewer

DOWNLOADS = CapacityLimiter(16)
"""Requests with a base image use their own threads, so that slow addresses do not block the others."""
router = APIRouter(tags=["marketing"])


class MarketingRequest(BaseModel):
    """Request to generate a marketing image."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"prompt": "a red mug on the beach"},
                {"prompt": "a red mug", "industry": "food", "style": "watercolour", "count": 2, "seed": 7},
            ]
        },
    )

    prompt: str = Field(
        min_length=1, max_length=20_000, description="What the image shows.", json_schema_extra={"pattern": r"\S"}
    )
    base_image_url: str | None = Field(
        default=None,
        max_length=2048,
        description="Image to start from: its URL at a public address, its URL on this server, or sha256:HASH.",
    )
    industry: str | None = Field(
        default=None,
        max_length=200,
        description="Industry, which adds words to the prompt and selects the adapter. Default: none, so neither.",
    )
    words: str | None = Field(
        default=None,
        max_length=2000,
        description="Words that are added to the prompt, in place of those of `industry`; empty for none.",
    )
    style: str | None = Field(
        default=None,
        max_length=200,
        description="Style, which selects the prompt template. Default: the first one.",
    )
    count: int = Field(default=1, ge=1, le=10, description="Number of images, with consecutive seeds.")
    size: ImageSize = None
    seed: int | None = Field(default=None, ge=0, lt=2**32, description="Seed of the first image. Default: random.")

    @field_validator("prompt")
    @classmethod
    def _check_prompt(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the prompt is blank; describe the image")
        return value


class MarketingResponse(BaseModel):
    """URL of the image, and how long it took, such as "3.2s". generated_image_urls: of all images, in the order of
    their seeds. seed: of the first image. notices: what to know about it; absent if nothing.
    """

    generated_image_url: str
    generated_image_urls: list[str]
    seed: int
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
    run = await run_sync(partial(submit_marketing, state, call, caller, request), limiter=limiter)
    run = await wait_until_done(state.waiter, request, run, state.settings.wait_seconds)
    artifacts = await run_sync(state.studio.runs.artifacts, run.id, "picture")
    if not artifacts:
        raise HTTPError(HTTPStatus.NOT_FOUND, "the image was erased", "send the request again")
    paths = [url_of(reference_of(artifact)) for artifact in reversed(artifacts)]  # they come newest first
    if state.links is not None:
        paths = [await run_sync(state.links.sign, path) for path in paths]
    urls = [str(request.base_url).rstrip("/") + path for path in paths]
    assert isinstance(run.request, GenerateRequest)
    notices = (await run_sync(state.studio.runs.notices_of, [run.id]))[run.id]
    return MarketingResponse(
        generated_image_url=urls[0],
        generated_image_urls=urls,
        seed=run.request.seed,
        generation_time=f"{monotonic() - began:.1f}s",
        notices=notices or None,
    )


@router.get("/industries")
def list_industries(state: StateDep) -> dict[str, list[str]]:
    """List the industries and styles."""
    return {"industries": list(state.profile.industries), "styles": list(state.profile.styles)}


def submit_marketing(
    state: ServerState,
    call: MarketingRequest,
    caller: Caller,
    http_request: Request,
    preview_every: int | None = None,
    priority: int = 1,
) -> Run:
    """Submit the generate request of a call, with one of the industry's adapters.

    priority: above that of other runs by default, as the call waits for its images.
    """
    body, tags = marketing_body(state, call, caller, http_request)
    request, execution = split_body(body)
    if preview_every is not None:
        execution = execution.model_copy(update={"preview_every": preview_every})
    return state.studio.enqueue(
        request, priority=priority, tags=tags, caller=caller, granted=state.granted, execution=execution
    )


def marketing_body(
    state: ServerState, call: MarketingRequest, caller: Caller, http_request: Request
) -> tuple[GenerateRequest, dict[str, str]]:
    """Return the body of a call's generate request, and its tags; raises LimnerError for a call that has none."""
    profile, url = state.profile, call.base_image_url
    style = profile.default_style if call.style is None else call.style
    fields = {"count": call.count, **size_fields(call.size)} | ({} if call.seed is None else {"seed": call.seed})
    # Reports errors before anything is downloaded.
    profile.request(call.prompt, call.industry, style, fields=fields, words=call.words)
    image = None if url is None else base_image(state, caller, http_request, url)
    named = {"industry": call.industry, "style": style}
    tags = {name: value.strip().casefold() for name, value in named.items() if value is not None}
    seed = secrets.randbelow(2**32) if call.seed is None else call.seed
    listed = profile.adapters(call.industry, image)
    adapters = state.studio.promotions.adapters(call.industry, image is not None, listed)
    adapter = adapters[0] if adapters else None
    if len(adapters) > 1:
        ratings = state.studio.feedback.summary(Viewer(stored=True), "adapter", tags.get("industry"))
        choice = choose_adapter(adapters, ratings, seed)
        adapter = choice.adapter
        tags |= {"adapter": adapter.path, "chosen": choice.reason, "chance": str(seed)}
    return profile.request(call.prompt, call.industry, style, image, adapter, seed, fields, call.words), tags
