"""/v1/files and /v1/folders: uploads and downloads of stored files, which are named by their SHA-256."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from limner.core.errors import LimnerError, Unavailable
from limner.server.archives import unzip, write_form_files, zip_stream
from limner.server.auth import CallerDep
from limner.server.dependencies import StateDep, StudioDep, check_access
from limner.server.problems import HTTPError
from limner.server.replies import url_of
from limner.server.uploads import save_body
from limner.studio.files import CHUNK_BYTES, MAX_FILES
from limner.studio.studio import Studio

SIGNED_SECONDS = 3600
CACHE_FOREVER = "private, max-age=31536000, immutable"
SANDBOX = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
"""Headers that keep browsers from running a file as HTML or script."""
BINARY = {"schema": {"type": "string", "format": "binary"}}
Sha256 = Annotated[str, PathParameter(pattern="^[0-9a-f]{64}$")]
IfNoneMatch = Annotated[str | None, Header()]
MAGIC = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"RIFF": "image/webp",
}
_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
router = APIRouter(prefix="/v1", tags=["files"])


class StoredReply(BaseModel):
    """A stored file or folder. reference: names it in requests."""

    reference: str
    url: str
    bytes: int


def _body(content: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the OpenAPI document that describes a required body."""
    return {"requestBody": {"required": True, "content": content}}


_FORM = {
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
}
_ZIP = {"application/zip": BINARY, "application/octet-stream": BINARY, "multipart/form-data": _FORM}


@router.post("/files", status_code=201, openapi_extra=_body({"application/octet-stream": BINARY}))
async def upload_file(request: Request, state: StateDep, caller: CallerDep) -> StoredReply:
    """Store the body as a file, such as a base image or an adapter."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "upload"
        size = await save_body(request, place, state.settings.upload_bytes)
        reference = await run_sync(state.studio.files.upload, place, caller)
    return StoredReply(reference=reference, url=url_of(reference), bytes=size)


@router.post("/folders", status_code=201, openapi_extra=_body(_ZIP))
async def upload_folder(request: Request, state: StateDep, caller: CallerDep) -> StoredReply:
    """Store files as a folder, such as a dataset: images, and text files with their captions. Send a zip, or a form
    with the files as parts named `files`.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive, content = Path(folder) / "upload.zip", Path(folder) / "inside"
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            async with request.form(max_files=MAX_FILES, max_fields=0) as form:
                size = await run_sync(write_form_files, form.getlist("files"), content)
        else:
            await save_body(request, archive, state.settings.upload_bytes)
            size = await run_sync(unzip, archive, content, state.settings.unpacked_bytes)
        reference = await run_sync(state.studio.files.upload, content, caller)
    return StoredReply(reference=reference, url=url_of(reference), bytes=size)


@router.head("/files/{sha256}", response_class=Response, include_in_schema=False)
@router.get("/files/{sha256}", response_class=Response, responses={206: {}, 304: {}, 307: {}, 404: {}, 416: {}})
def download_file(
    request: Request,
    state: StateDep,
    caller: CallerDep,
    sha256: Sha256,
    range: Annotated[str | None, Header()] = None,
    if_none_match: IfNoneMatch = None,
    if_range: Annotated[str | None, Header()] = None,
) -> Response:
    """Return a file, or a byte range of it. With `limner serve --presign`, redirect to the file storage."""
    studio = state.studio
    check_access(studio, caller, f"sha256:{sha256}")
    with not_found("file", sha256):
        size, kind = studio.files.size(sha256), media_type(studio, sha256)
    headers = {"ETag": f'"{sha256}"', "Cache-Control": CACHE_FOREVER, "Accept-Ranges": "bytes"} | SANDBOX
    if matches(if_none_match, sha256):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    head = is_head(request)  # ranges are for GET only (RFC 9110), and so are signatures
    url = studio.files.signed_url(sha256, SIGNED_SECONDS, kind) if state.settings.presign and not head else None
    if url is not None:
        redirect = {"Location": url, "Cache-Control": "private, no-store"}
        return Response(status_code=HTTPStatus.TEMPORARY_REDIRECT, headers=redirect)
    first, last = byte_range(None if head else range, size, if_range, sha256)
    headers["Content-Length"] = str(last - first + 1)
    partial = (first, last) != (0, size - 1)
    if partial:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    status = HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK
    body = iter(()) if head else read_pieces(studio, sha256, first, last)
    return StreamingResponse(body, status, headers, kind)


@router.head("/folders/{sha256}", response_class=Response, include_in_schema=False)
@router.get("/folders/{sha256}", response_class=Response, responses={304: {}, 404: {}})
def download_folder(
    request: Request, studio: StudioDep, caller: CallerDep, sha256: Sha256, if_none_match: IfNoneMatch = None
) -> Response:
    """Return a folder as a zip."""
    check_access(studio, caller, f"folder:{sha256}")
    with not_found("folder", sha256):
        files = studio.files.folder(sha256)
    headers = {"ETag": f'"{sha256}.zip"', "Cache-Control": CACHE_FOREVER} | SANDBOX
    if matches(if_none_match, f"{sha256}.zip"):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    body = iter(()) if is_head(request) else zip_stream(studio.files, files)
    return StreamingResponse(body, headers=headers, media_type="application/zip")


def is_head(request: Request) -> bool:
    """Return whether a request asks for the headers only."""
    return request.scope["method"] == "HEAD"


@contextmanager
def not_found(what: str, sha256: str) -> Iterator[None]:
    """Turn errors about a missing or different file inside the block into HTTPError (404)."""
    try:
        yield
    except Unavailable:
        raise
    except LimnerError as error:
        problem = error.problem if what == "file" else f"there is no {what} {sha256[:12]}"
        raise HTTPError(HTTPStatus.NOT_FOUND, problem, "upload it") from error


def read_pieces(studio: Studio, sha256: str, first: int, last: int) -> Iterator[bytes]:
    """Yield the bytes of a stored file from `first` to `last`, both included."""
    with studio.files.open(sha256) as file:
        file.seek(first)
        left = last - first + 1
        while left > 0 and (piece := file.read(min(CHUNK_BYTES, left))):
            left -= len(piece)
            yield piece


def media_type(studio: Studio, sha256: str) -> str:
    """Return the media type of an image by its first bytes; of any other file, that of plain bytes, which no browser
    runs.
    """
    begin = studio.files.read(sha256, 0, 12)
    if begin[:4] == b"RIFF" and begin[8:] != b"WEBP":
        return "application/octet-stream"
    return next((kind for magic, kind in MAGIC.items() if begin.startswith(magic)), "application/octet-stream")


# Why not starlette's FileResponse: it needs a local path, which a file in S3 does not have. It ignores If-None-Match,
# and answers malformed ranges with 400, several ranges with multipart/byteranges and HEAD with 206, where RFC 9110
# allows or requires the whole file.


def matches(if_none_match: str | None, tag: str) -> bool:
    """Return whether `If-None-Match` contains an entity tag, weak or strong, or is `*` (RFC 9110, section 13).

    tag: without quotes.
    """
    value = (if_none_match or "").strip()
    return value == "*" or tag in _TAG.findall(value)


def byte_range(header: str | None, size: int, if_range: str | None = None, tag: str = "") -> tuple[int, int]:
    """Return the first and last byte of a `Range` header (RFC 9110, section 14); of the whole file without one.

    Several ranges, other units and malformed ranges also give the whole file, as the RFC allows. if_range: the
    `If-Range` header; the range applies only if it is this strong tag. Raises HTTPError (416) for a range beyond
    the end.
    """
    unit, _, range_text = (header or "").partition("=")
    first, dash, last = map(str.strip, range_text.partition("-"))
    valid = unit.strip() == "bytes" and dash and (first or last) and all(map(_is_offset, (first, last)))
    if not valid or (if_range is not None and if_range.strip() != f'"{tag}"'):
        return 0, size - 1
    begin, end = (int(first), int(last or size - 1)) if first else (max(0, size - int(last)), size - 1)
    if first and last and begin > end:  # malformed
        return 0, size - 1
    if begin >= size or begin > end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise HTTPError(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"the file has {size} bytes", headers=headers)
    return begin, min(end, size - 1)


def _is_offset(text: str) -> bool:
    """Return whether a text is empty or the offset of a byte in a file."""
    return not text or (text.isdecimal() and len(text) <= 18)
