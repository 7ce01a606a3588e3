"""POST /generate-image: a prompt, an industry, a style, perhaps a base picture -> a picture, and how long it took."""

from __future__ import annotations

import secrets
import tempfile
from http import HTTPStatus
from pathlib import Path
from time import monotonic

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator

from limner.core.accounts import Caller
from limner.core.execution import split_body
from limner.core.runs import Run
from limner.fetch import fetch
from limner.server.admission import ADMISSIONS
from limner.server.auth import caller
from limner.server.bandit import chosen
from limner.server.disconnect import result
from limner.server.links import Links
from limner.server.problems import Refusal
from limner.server.profile import Profile
from limner.server.replies import ArtifactReply
from limner.server.settings import Settings
from limner.server.uploads import size_of
from limner.studio.images import Viewer
from limner.studio.runs import QUEUE
from limner.studio.studio import Studio

FETCHING = CapacityLimiter(16)
"""So many slow addresses take no thread from those who give none."""


class Call(BaseModel):
    """A wish as a marketing team words it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"prompt": "a red mug on the beach", "industry": "food", "style": "watercolour"}]
        },
    )

    prompt: str = Field(
        min_length=1, max_length=20_000, description="What to paint.", json_schema_extra={"pattern": r"\S"}
    )
    base_image_url: str | None = Field(
        default=None, max_length=2048, description="Picture to begin from, at an address that anyone can reach."
    )
    industry: str = Field(max_length=200, description="Sector, which picks the adapter.")
    style: str = Field(max_length=200, description="How the prompt is put.")

    @field_validator("prompt")
    @classmethod
    def _said(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the prompt is blank; say what to paint")
        return value


class Answer(BaseModel):
    """Where the picture is, and how long it took, as in "3.2s"."""

    generated_image_url: str
    generation_time: str = Field(pattern=r"^\d+\.\ds$", examples=["3.2s"])


def router(
    studio: Studio, settings: Settings, profile: Profile, granted: frozenset[str], links: Links | None
) -> APIRouter:
    """The route of the marketing call."""
    routes = APIRouter(tags=["marketing"])

    def submitted(call: Call, who: Caller) -> Run:
        profile.request(call.prompt, call.industry, call.style)  # says what is wrong before anything is fetched
        image = None if call.base_image_url is None else fetched(studio, who, call.base_image_url, settings)
        tags = {"industry": call.industry.strip().casefold(), "style": call.style.strip().casefold()}
        chance = secrets.randbelow(2**32)
        adapters = profile.adapters(call.industry, image)
        adapter = adapters[0] if adapters else None
        if len(adapters) > 1:
            rated = studio.feedback.summary(Viewer(queue=QUEUE), "adapter", tags["industry"])
            choice = chosen(adapters, rated, chance)
            adapter = choice.adapter
            tags |= {"adapter": adapter.path, "chosen": choice.why, "chance": str(chance)}
        body = profile.request(call.prompt, call.industry, call.style, image, adapter, chance)
        request, execution = split_body(body)
        return studio.enqueue(request, priority=1, tags=tags, caller=who, granted=granted, execution=execution)

    @routes.post("/generate-image", responses={409: {}, 504: {}})
    async def generate_image(call: Call, request: Request, who: Caller = Depends(caller)) -> Answer:
        """Paint one picture, with the adapter of an industry and in a style; answers when it is there."""
        began = monotonic()
        run = await run_sync(submitted, call, who, limiter=FETCHING if call.base_image_url else ADMISSIONS)
        run = await result(studio, request, run, settings.wait_seconds)
        made = await run_sync(studio.runs.artifacts, run.id, "picture")
        if not made:
            raise Refusal(HTTPStatus.NOT_FOUND, "the picture was erased", "ask again for a new one")
        path = ArtifactReply.of(made[-1]).url
        url = str(request.base_url).rstrip("/") + (path if links is None else await run_sync(links.signed, path))
        return Answer(generated_image_url=url, generation_time=f"{monotonic() - began:.1f}s")

    @routes.get("/industries")
    def industries() -> dict[str, list[str]]:
        """The industries and styles there are."""
        return {"industries": list(profile.industries), "styles": list(profile.styles)}

    return routes


def fetched(studio: Studio, who: Caller, url: str, settings: Settings) -> str:
    """The reference of a picture that a URL names, kept for its caller; raises LimnerError for what is no picture."""
    body = fetch(url, bytes_most=settings.upload_bytes)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "base"
        place.write_bytes(body)
        size_of(studio, place)
        return studio.files.upload(place, who)
