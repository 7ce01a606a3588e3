"""/v1/files and /v1/folders: what is kept by its content, brought in and fetched."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from anyio import open_file
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi import Path as Part
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.server.archives import unzip, written, zipped
from limner.server.auth import caller
from limner.server.conditional_files import known, span
from limner.server.problems import Refusal
from limner.server.replies import url_of
from limner.server.settings import Settings
from limner.studio.files import CHUNK_BYTES, MAX_FILES
from limner.studio.studio import Studio

SIGNED_SECONDS = 3600
FOREVER = "private, max-age=31536000, immutable"
UNKEPT = {"Cache-Control": "private, no-store"}
PLAIN = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
"""No browser shall take a file for what it does not say it is."""
Sha256 = Annotated[str, Part(pattern="^[0-9a-f]{64}$")]
MAGIC = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"RIFF": "image/webp",
}


class Kept(BaseModel):
    """A file or folder that is kept. reference: by which requests name it."""

    reference: str
    url: str
    bytes: int


def router(studio: Studio, settings: Settings) -> APIRouter:
    """The routes of files."""
    routes = APIRouter(prefix="/v1", tags=["files"])

    @routes.post("/files", status_code=201, openapi_extra=_BINARY)
    async def uploaded(request: Request, who: Caller = Depends(caller)) -> Kept:
        """Keep the body's bytes as a file, such as a picture to begin from or an adapter."""
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "upload"
            size = await received(request, place, settings.upload_bytes)
            reference = await run_sync(studio.files.upload, place, who)
        return Kept(reference=reference, url=url_of(reference), bytes=size)

    @routes.post("/folders", status_code=201, openapi_extra=_ZIP)
    async def unpacked(request: Request, who: Caller = Depends(caller)) -> Kept:
        """Keep files as a folder, such as a dataset: pictures, and text files with their captions. They come as a zip,
        or as the parts `files` of a form.
        """
        with tempfile.TemporaryDirectory() as folder:
            place, inside = Path(folder) / "upload.zip", Path(folder) / "inside"
            if request.headers.get("content-type", "").startswith("multipart/form-data"):
                async with request.form(max_files=MAX_FILES, max_fields=0) as form:
                    size = await run_sync(written, form.getlist("files"), inside)
            else:
                await received(request, place, settings.upload_bytes)
                size = await run_sync(unzip, place, inside, settings.unpacked_bytes)
            reference = await run_sync(studio.files.upload, inside, who)
        return Kept(reference=reference, url=url_of(reference), bytes=size)

    @routes.head("/files/{sha256}", response_class=Response, include_in_schema=False)
    @routes.get("/files/{sha256}", response_class=Response, responses={206: {}, 304: {}, 307: {}, 404: {}, 416: {}})
    def fetched(
        request: Request,
        sha256: Sha256,
        range: Annotated[str | None, Header()] = None,
        if_none_match: Annotated[str | None, Header()] = None,
        if_range: Annotated[str | None, Header()] = None,
        who: Caller = Depends(caller),
    ) -> Response:
        """A file's bytes, or a range of them; where the service is set up so, the place at the store to get them."""
        check_held(studio, who, f"sha256:{sha256}")
        size, kind = told(sha256)
        headers = {"ETag": f'"{sha256}"', "Cache-Control": FOREVER, "Accept-Ranges": "bytes"} | PLAIN
        if known(if_none_match, sha256):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        bare = asks_only(request)  # to which a range means nothing, and a signature is for GET only
        url = studio.files.signed_url(sha256, SIGNED_SECONDS, kind) if settings.presign and not bare else None
        if url is not None:
            return Response(status_code=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": url, **UNKEPT})
        first, last = span(None if bare else range, size, if_range, sha256)
        whole = (first, last) == (0, size - 1)
        headers["Content-Length"] = str(last - first + 1)
        if not whole:
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        status = HTTPStatus.OK if whole else HTTPStatus.PARTIAL_CONTENT
        return StreamingResponse(iter(()) if bare else pieces(studio, sha256, first, last), status, headers, kind)

    def told(sha256: str) -> tuple[int, str]:
        with absent("file", sha256):
            return studio.files.size(sha256), media_type(studio, sha256)

    @routes.head("/folders/{sha256}", response_class=Response, include_in_schema=False)
    @routes.get("/folders/{sha256}", response_class=Response, responses={304: {}, 404: {}})
    def packed(
        request: Request,
        sha256: Sha256,
        if_none_match: Annotated[str | None, Header()] = None,
        who: Caller = Depends(caller),
    ) -> Response:
        """A folder as a zip."""
        check_held(studio, who, f"folder:{sha256}")
        with absent("folder", sha256):
            files = studio.files.folder(sha256)
        headers = {"ETag": f'"{sha256}.zip"', "Cache-Control": FOREVER} | PLAIN
        if known(if_none_match, f"{sha256}.zip"):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        body = iter(()) if asks_only(request) else zipped(studio.files, files)
        return StreamingResponse(body, headers=headers, media_type="application/zip")

    return routes


def check_held(studio: Studio, who: Caller, reference: str) -> None:
    """Refuse what the caller may not have as if it were not there."""
    if not studio.files.may_use(who, reference):
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no {reference[:19]}", "name what is yours, or was shared")


async def received(request: Request, place: Path, most: int) -> int:
    """Write the body of a request into a file, its size in bytes; refuses one of more than `most`."""
    size = 0
    async with await open_file(place, "wb") as file:
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                raise Refusal(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"the upload is larger than {most:,} bytes",
                    "send a smaller one",
                )
            await file.write(piece)
    if not size:
        raise LimnerError("the upload is empty", "send the file's bytes as the body")
    return size


def asks_only(request: Request) -> bool:
    """Whether the headers are all that is wanted."""
    return request.scope["method"] == "HEAD"


@contextmanager
def absent(what: str, sha256: str) -> Iterator[None]:
    """What is not kept, or is something else, is not found."""
    try:
        yield
    except Unavailable:
        raise
    except LimnerError as error:
        why = error.problem if what == "file" else f"there is no {what} {sha256[:12]}"
        raise Refusal(HTTPStatus.NOT_FOUND, why, "upload it") from error


def pieces(studio: Studio, sha256: str, first: int, last: int) -> Iterator[bytes]:
    """The bytes of a kept file from the first to the last."""
    with studio.files.open(sha256) as file:
        file.seek(first)
        left = last - first + 1
        while left > 0 and (piece := file.read(min(CHUNK_BYTES, left))):
            left -= len(piece)
            yield piece


def media_type(studio: Studio, sha256: str) -> str:
    """What a file is by its first bytes; pictures are named, all else is plain bytes, which no browser runs."""
    begin = studio.files.read(sha256, 0, 12)
    if begin[:4] == b"RIFF" and begin[8:] != b"WEBP":
        return "application/octet-stream"
    return next((kind for magic, kind in MAGIC.items() if begin.startswith(magic)), "application/octet-stream")


_BINARY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_ZIP = {
    "requestBody": {
        "required": True,
        "content": {
            "application/zip": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": MAX_FILES,
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            },
        },
    }
}
