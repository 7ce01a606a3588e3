"""/v1/images and /v1/models, compatible with OpenAI's clients: images from a prompt, or from an image and a prompt."""

from __future__ import annotations

import base64
import json
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import Any

from anyio import CancelScope
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from PIL import Image
from starlette.formparsers import MultiPartException

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.execution import body_model, split_body
from limner.core.protocols import Alias
from limner.core.runs import Artifact, Run
from limner.plugins.registry import aliases, load_domain
from limner.provenance.credentials import sign
from limner.provenance.xmp import source_type
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep
from limner.server.error_format import openai_error
from limner.server.limits import run_submission
from limner.server.openai_models import (
    CLIENT_ERRORS,
    ImageEditRequest,
    ImageFormat,
    ImageGenerationRequest,
    ImageRequest,
    ImagesResponse,
    ModelList,
    ModelReply,
    OpenAIImage,
)
from limner.server.problems import HTTPError, error_response
from limner.server.replies import reference_of, url_of
from limner.server.run_events import KEEP_ALIVE
from limner.server.uploads import edit_request, form_image, form_mask, store_edit_files
from limner.server.waiting import check_done, wait_until_done
from limner.studio.files import REFERENCE
from limner.studio.studio import Studio

PNG_XMP = "XML:com.adobe.xmp"
"""Key of the XMP packet in a PNG."""
DEFAULT_QUALITY = 95
router = APIRouter(prefix="/v1", tags=["openai"], responses=CLIENT_ERRORS)


def _edit_form() -> dict[str, Any]:
    """Return the part of the OpenAPI document that describes the form of an edit."""
    schema = ImageEditRequest.model_json_schema()
    binary = {"type": "string", "format": "binary"}
    schema["properties"] |= {"image": binary, "image[]": binary, "mask": binary}
    schema.pop("examples", None)
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


@router.post("/images/generations", response_model=ImagesResponse, response_model_exclude_none=True)
async def generate_images(
    body: ImageGenerationRequest, request: Request, state: StateDep, caller: CallerDep
) -> ImagesResponse | StreamingResponse:
    """Generate images from a prompt. The response waits until they are done."""
    return await _generate(state, request, body, caller, {})


@router.post(
    "/images/edits", response_model=ImagesResponse, response_model_exclude_none=True, openapi_extra=_edit_form()
)
async def edit_image(request: Request, state: StateDep, caller: CallerDep) -> ImagesResponse | StreamingResponse:
    """Generate images from an image and a prompt. Only the transparent part of the mask changes; without a mask, the
    whole image.
    """
    try:
        async with request.form(max_files=4, max_fields=50) as form:
            body, image, mask = edit_request(form), form_image(form), form_mask(form)
            check_model(body.own_model)
            files = await run_sync(store_edit_files, state.studio, caller, image, mask)
    except MultiPartException as error:
        raise HTTPError(HTTPStatus.BAD_REQUEST, error.message, "send multipart/form-data") from error
    return await _generate(state, request, body, caller, files)


@router.get("/models")
def list_models() -> ModelList:
    """List the base models that requests may name. A model is downloaded when it is first used."""
    return ModelList(data=[_model_reply(name, alias) for name, (_, alias) in sorted(aliases().items())])


@router.get("/models/{model}")
def show_model(model: str) -> ModelReply:
    """Show one base model."""
    return _model_reply(model, _named_model(model))


@router.get("/models/{model}/words")
def list_words(model: str) -> dict[str, tuple[str, ...]]:
    """List what prompts for a model may say, by kind. Empty for models that know more than can be listed."""
    domain = load_domain(_named_model(model))
    return {} if domain is None else dict(domain.phrases())


def _named_model(name: str) -> Alias:
    if name not in aliases():
        problem = f"there is no model {name[:80]!r}"
        raise HTTPError(HTTPStatus.NOT_FOUND, problem, "GET /v1/models lists them", pointer="/model")
    return aliases()[name][1]


def _model_reply(name: str, alias: Alias) -> ModelReply:
    hub = ":" not in alias.reference and "/" in alias.reference
    return ModelReply(id=name, owned_by=alias.reference.partition("/")[0] if hub else "limner")


def check_model(name: str | None) -> None:
    """Raise HTTPError (404) for a model that is neither a named one nor the reference of an uploaded one."""
    if name is None or name in aliases() or REFERENCE.fullmatch(name):
        return
    known = ", ".join(sorted(aliases()))
    raise HTTPError(HTTPStatus.NOT_FOUND, f"there is no model {name!r}", f"choose one of: {known}", pointer="/model")


async def _generate(
    state: ServerState, request: Request, body: ImageRequest, caller: Caller, files: dict[str, str]
) -> ImagesResponse | StreamingResponse:
    """Submit a request, wait for its run and return the images. files: references of the image and the mask."""
    run = await run_submission(partial(_submit, state, body, caller, files))
    base_url = str(request.base_url).rstrip("/")
    if body.stream:
        name = "image_edit" if files else "image_generation"
        events = _events(state, base_url, body, run, name, withdraw="idempotency-key" not in request.headers)
        return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
    run = await wait_until_done(state.waiter, request, run, state.settings.wait_seconds)
    return await run_sync(_images_response, state, base_url, body, run)


async def _events(
    state: ServerState, base_url: str, body: ImageRequest, run: Run, name: str, withdraw: bool
) -> AsyncIterator[str]:
    """Yield OpenAI's server-sent events: one for each finished image, or the error of the run.

    withdraw: cancel a run that is still queued when the client disconnects.
    """
    began, limit = monotonic(), state.settings.wait_seconds
    try:
        while not run.status.ended and (left := limit - (monotonic() - began)) > 0 and not state.waiter.stopping:
            run = await state.waiter.ended(run, min(KEEP_ALIVE, left))
            if not run.status.ended:
                yield ": keep-alive\n\n"
    except BaseException:  # the client disconnected
        if withdraw:
            with CancelScope(shield=True), suppress(LimnerError):
                await run_sync(state.studio.runs.withdraw, run.id)
        raise
    try:
        check_done(run, monotonic() - began)
        response = await run_sync(_images_response, state, base_url, body, run)
    except LimnerError as error:
        _, data = openai_error(json.loads(bytes(error_response(error).body)))
        yield f"event: error\ndata: {json.dumps(data)}\n\n"
        return
    shared = response.model_dump(exclude={"created", "data"}, exclude_none=True)
    for image in response.data:
        kind = f"{name}.completed"
        data = {"type": kind, "created_at": response.created} | shared | image.model_dump(exclude_none=True)
        yield f"event: {kind}\ndata: {json.dumps(data)}\n\n"


def _submit(state: ServerState, body: ImageRequest, caller: Caller, files: dict[str, str]) -> Run:
    """Submit the generate request; without a model of this server, the profile gives the model and its settings."""
    check_model(body.own_model)
    defaults = state.profile.picture if files else state.profile.text
    fields = {"model": body.own_model} if body.own_model else dict(defaults.request)
    if "mask" in files:  # the masked part may change completely
        fields.pop("strength", None)
    fields = {"seed": secrets.randbelow(2**32)} | fields | body.generate_fields() | files
    request, execution = split_body(body_model("generate").model_validate(fields))
    return state.studio.enqueue(
        request, priority=1, tags=body.tags(), caller=caller, granted=state.granted, execution=execution
    )


def _images_response(state: ServerState, base_url: str, body: ImageRequest, run: Run) -> ImagesResponse:
    artifacts = list(reversed(state.studio.runs.artifacts(run.id, "picture")))
    if not artifacts:
        raise HTTPError(HTTPStatus.NOT_FOUND, "the images were erased", "send the request again")
    image_format, quality = body.output_format or "png", body.output_compression
    quality = DEFAULT_QUALITY if quality is None else quality
    data: list[OpenAIImage] = []
    for artifact in artifacts:
        if body.embeds_images:
            image = convert_image(_read(state.studio, artifact.sha256), image_format, quality, state.studio.home)
            data.append(OpenAIImage(b64_json=base64.b64encode(image).decode()))
        else:
            path = url_of(reference_of(artifact))
            if image_format != "png":
                path = url_of(_store_copy(state.studio, artifact, image_format, quality))
            data.append(OpenAIImage(url=base_url + (path if state.links is None else state.links.sign(path))))
    size = "{width}x{height}".format(**artifacts[0].details)
    created, notes = int(run.created.timestamp()), body.notes or None
    return ImagesResponse(created=created, data=data, output_format=image_format, size=size, notes=notes)


def _store_copy(studio: Studio, artifact: Artifact, image_format: ImageFormat, quality: int) -> str:
    """Store an image in another format as an artifact of the same run and return its reference."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "picture"
        place.write_bytes(convert_image(_read(studio, artifact.sha256), image_format, quality, studio.home))
        return studio.images.add_copy(artifact, place, image_format)


def _read(studio: Studio, sha256: str) -> bytes:
    with studio.files.open(sha256) as file:
        return file.read()


def convert_image(
    png: bytes, image_format: ImageFormat, quality: int = DEFAULT_QUALITY, home: Path | None = None
) -> bytes:
    """Convert a PNG of ours to another format, with its XMP packet and new content credentials.

    quality: of JPEG and WebP, 0 to 100. home: the folder of the key that signs. A PNG is returned as it is.
    """
    if image_format == "png":
        return png
    target = BytesIO()
    with Image.open(BytesIO(png), formats=("PNG",)) as image:
        xmp = str(image.info.get(PNG_XMP, "")).encode()
        image.convert("RGB").save(target, format=image_format.upper(), quality=quality, xmp=xmp)
    data = target.getvalue()
    source = source_type(data) or "trainedAlgorithmicMedia"
    return sign(data, source, home, f"image/{image_format}")
