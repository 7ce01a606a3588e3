"""How much a request may send."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

JSON_BYTES = 2**20
NESTED = 100_000
"""Lists and objects in a body of JSON at most, for each takes far more time and memory than its bytes."""
UPLOADS = ("/v1/files", "/v1/folders", "/v1/verify", "/v1/images/edits")
"""Paths that take files. All others parse the body as JSON, whatever its media type says."""
TYPES = ("application/octet-stream", "application/zip", "multipart/form-data")
"""Media types of uploads, besides those of images."""


class Bounds:
    """Refuses a body that is larger than `bytes_most`, or than a mebibyte where it is not an upload of files."""

    def __init__(self, app: ASGIApp, bytes_most: int) -> None:
        self.app, self.bytes_most = app, bytes_most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        upload = is_upload(scope)
        most = self.bytes_most if upload else JSON_BYTES
        got = nested = 0

        async def counted() -> Message:
            nonlocal got, nested
            message = await receive()
            body = message.get("body", b"")
            got += len(body)
            if got > most:
                raise HTTPException(413, f"the body is larger than {most:,} bytes")
            nested += 0 if upload else body.count(b"[") + body.count(b"{")
            if nested > NESTED:
                raise HTTPException(413, f"the body has more than {NESTED:,} opening brackets")
            return message

        await self.app(scope, counted, send)


def is_upload(scope: Scope) -> bool:
    """Whether the body of a request holds files: by its path, and by its media type."""
    media_type = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().casefold()
    return scope["path"] in UPLOADS and (media_type in TYPES or media_type.startswith("image/"))
