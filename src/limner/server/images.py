"""/v1/images/..., as OpenAI's clients know it: pictures from words, and from a picture and words."""

from __future__ import annotations

import base64
import secrets
import tempfile
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.formparsers import MultiPartException

from limner.core.accounts import Caller
from limner.core.execution import body_model, split_body
from limner.core.runs import Artifact, Run
from limner.plugins.registry import aliases
from limner.server.admission import admitted
from limner.server.auth import caller
from limner.server.convert import Format, converted
from limner.server.disconnect import result
from limner.server.links import Links
from limner.server.openai_models import Edit, Generation, Wish
from limner.server.problems import Refusal
from limner.server.profile import Profile
from limner.server.replies import ArtifactReply, url_of
from limner.server.settings import Settings
from limner.server.uploads import edit_of, image_of, mask_of, taken
from limner.studio.files import REFERENCE
from limner.studio.studio import Studio


class Fault(BaseModel):
    """What went wrong, as OpenAI tells it."""

    message: str
    type: str
    param: str | None
    code: str | None


class Faulty(BaseModel):
    error: Fault


REFUSED: dict[int | str, dict[str, Any]] = {"4XX": {"model": Faulty, "description": "A mistake to be mended."}}


class Image(BaseModel):
    """A picture: where it is, or itself."""

    url: str | None = None
    b64_json: str | None = None


class Images(BaseModel):
    """Pictures that were painted. created: seconds since 1970."""

    created: int
    data: list[Image]
    output_format: Format = "png"
    background: str = "opaque"
    size: str | None = Field(default=None, examples=["1024x1024"])


def router(
    studio: Studio, settings: Settings, profile: Profile, granted: frozenset[str], links: Links | None
) -> APIRouter:
    """The routes of OpenAI's Images. Where a wish names no model of ours, the profile's say what is painted with."""
    routes = APIRouter(prefix="/v1/images", tags=["openai"], responses=REFUSED)

    def submitted(wish: Wish, who: Caller, files: dict[str, str]) -> Run:
        check_model(wish.ours)
        side = profile.picture if files else profile.text
        own = {"model": wish.ours} if wish.ours else dict(side.request)
        if "mask" in files:  # what is masked may be painted wholly anew
            own.pop("strength", None)
        fields = {"seed": secrets.randbelow(2**32)} | own | wish.fields() | files
        request, execution = split_body(body_model("generate").model_validate(fields))
        return studio.enqueue(request, priority=1, tags=wish.tags(), caller=who, granted=granted, execution=execution)

    def answered(request: Request, wish: Wish, who: Caller, run: Run) -> Images:
        made = list(reversed(studio.runs.artifacts(run.id, "picture")))
        if not made:
            raise Refusal(HTTPStatus.NOT_FOUND, "the pictures were erased", "ask again for new ones")
        form, quality = wish.output_format or "png", wish.output_compression
        data = [told(request, wish, who, artifact, form, 95 if quality is None else quality) for artifact in made]
        size = "{width}x{height}".format(**made[0].details)
        return Images(created=int(run.created.timestamp()), data=data, output_format=form, size=size)

    def told(request: Request, wish: Wish, who: Caller, artifact: Artifact, form: Format, quality: int) -> Image:
        if wish.embedded:
            picture = converted(read(artifact.sha256), form, quality, studio.home)
            return Image(b64_json=base64.b64encode(picture).decode())
        path = ArtifactReply.of(artifact).url
        if form != "png":
            path = url_of(copied(artifact, form, quality))
        return Image(url=str(request.base_url).rstrip("/") + (path if links is None else links.signed(path)))

    def copied(artifact: Artifact, form: Format, quality: int) -> str:
        """The reference of a picture in another format, kept as a result of the same run."""
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "picture"
            place.write_bytes(converted(read(artifact.sha256), form, quality, studio.home))
            return studio.images.add_copy(artifact, place, form)

    def read(sha256: str) -> bytes:
        with studio.files.open(sha256) as file:
            return file.read()

    async def painted(request: Request, wish: Wish, who: Caller, files: dict[str, str]) -> Images:
        run = await admitted(partial(submitted, wish, who, files))
        run = await result(studio, request, run, settings.wait_seconds)
        return await run_sync(answered, request, wish, who, run)

    @routes.post("/generations", response_model_exclude_none=True)
    async def generations(wish: Generation, request: Request, who: Caller = Depends(caller)) -> Images:
        """Pictures from words; answers when they are there."""
        return await painted(request, wish, who, {})

    @routes.post("/edits", response_model_exclude_none=True, openapi_extra=_FORM)
    async def edits(request: Request, who: Caller = Depends(caller)) -> Images:
        """Pictures from a picture and words; what the mask leaves transparent is painted anew, or else all of it."""
        try:
            async with request.form(max_files=4, max_fields=50) as form:
                wish, image, mask = edit_of(form), image_of(form), mask_of(form)
                check_model(wish.ours)
                files = await run_sync(taken, studio, who, image, mask)
        except MultiPartException as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, error.message, "send multipart/form-data") from error
        return await painted(request, wish, who, files)

    return routes


def check_model(name: str | None) -> None:
    """Refuse a model that there is not; one that was uploaded is named by its reference."""
    if name is None or name in aliases() or REFERENCE.fullmatch(name):
        return
    known = ", ".join(sorted(aliases()))
    raise Refusal(HTTPStatus.NOT_FOUND, f"there is no model {name!r}", f"choose one of: {known}", pointer="/model")


def _form_schema() -> dict[str, Any]:
    schema = Edit.model_json_schema()
    binary = {"type": "string", "format": "binary"}
    schema["properties"] |= {"image": binary, "image[]": binary, "mask": binary}
    schema.pop("examples", None)
    return schema


_FORM = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _form_schema()}}}}
