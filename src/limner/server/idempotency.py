"""Idempotency-Key: a POST that is sent again is executed once, and gets the same response (IETF draft of that name)."""

from __future__ import annotations

import hashlib
import re
import tempfile
from contextlib import suppress
from http import HTTPStatus
from typing import IO

from anyio import CancelScope
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limner.core.disk import is_disk_error
from limner.core.errors import LimnerError, Unavailable
from limner.server.problems import HTTPError, error_response
from limner.studio.service import IdempotencyRecords, InFlight, StoredResponse

MEMORY_BYTES = 2**20
"""Bytes of a request body that stay in memory; more go to disk."""
STORED_BYTES = 64 * 2**20
"""Largest response that is stored."""
TIMED_OUT = 504
"""The run goes on, and is not submitted again; the response names it."""
RETRYABLE = (401, 403, 408, 409, 429)
"""Responses that are not stored, because a retry may get another one; like those of server errors."""


class IdempotencyMiddleware:
    """Stores the responses to POSTs that have an Idempotency-Key, for a day."""

    def __init__(self, app: ASGIApp, answers: IdempotencyRecords) -> None:
        self.app, self.answers = app, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        request = Request(scope, receive)
        key = request.headers.get("idempotency-key")
        if key is None:
            return await self.app(scope, receive, send)
        account = request.state.caller.account
        with tempfile.SpooledTemporaryFile(MEMORY_BYTES) as body:
            try:
                digest = await _spool(request, body)
                if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
                    raise LimnerError(f"Idempotency-Key {key[:80]!r} is invalid", "use 1 to 255 ASCII characters")
                stored = await run_sync(self.answers.begin, account, key, digest)
            except ClientDisconnect:
                return None
            except OSError as error:
                if not is_disk_error(error):
                    raise
                return await error_response(Unavailable(str(error)))(scope, receive, send)
            except InFlight as error:
                conflict = HTTPError(HTTPStatus.CONFLICT, error.problem, error.remedy)
                return await error_response(conflict)(scope, receive, send)
            except LimnerError as error:
                return await error_response(error)(scope, receive, send)
            if stored is not None:
                headers = stored.headers | {"Idempotent-Replayed": "true"}
                return await Response(stored.body, stored.status, headers)(scope, receive, send)
            await self._call(scope, _replay(body, receive), send, account, key)

    async def _call(self, scope: Scope, receive: Receive, send: Send, account: str, key: str) -> None:
        """Call the application and store its response; forget the key if no complete response was sent."""
        status, headers, parts, size, complete = 500, {}, [], 0, False

        async def record(message: Message) -> None:
            nonlocal status, headers, size, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
            elif message["type"] == "http.response.body":
                piece = message.get("body", b"")
                size += len(piece)
                if size <= STORED_BYTES:
                    parts.append(piece)
                complete = not message.get("more_body", False)
                if complete:  # before the client receives its end
                    answer = StoredResponse(status, headers, b"".join(parts))
                    await self._store(account, key, answer, fits=size <= STORED_BYTES)
            await send(message)

        try:
            await self.app(scope, receive, record)
        finally:
            if not complete:
                with suppress(LimnerError), CancelScope(shield=True):
                    await run_sync(self.answers.forget, account, key)

    async def _store(self, account: str, key: str, answer: StoredResponse, fits: bool) -> None:
        if fits and (answer.status < 500 or answer.status == TIMED_OUT) and answer.status not in RETRYABLE:
            await run_sync(self.answers.save, account, key, answer)
        else:
            await run_sync(self.answers.forget, account, key)


async def _spool(request: Request, body: IO[bytes]) -> str:
    """Write the request body to a file; return the SHA-256 of path, query, media type and body."""
    kind, _, options = request.headers.get("content-type", "").partition(";")
    boundary = re.search(r'boundary="?([^";]+)', options)
    digest = hashlib.sha256("\n".join((request.url.path, request.url.query, kind)).encode())
    async for piece in request.stream():
        await run_sync(body.write, piece)
    await run_sync(_hash, digest, body, boundary[1].encode() if boundary else b"")
    return digest.hexdigest()


def _hash(digest: hashlib._Hash, body: IO[bytes], boundary: bytes) -> None:
    """Hash a body without the boundary of a form, which clients choose anew for each try."""
    body.seek(0)
    if boundary:
        digest.update(body.read().replace(boundary, b""))
    else:
        while piece := body.read(MEMORY_BYTES):
            digest.update(piece)
    body.seek(0)


def _replay(body: IO[bytes], receive: Receive) -> Receive:
    """Return a `receive` that gives the stored body, and then the messages of the connection."""
    ended = False

    async def replay() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        piece = await run_sync(body.read, MEMORY_BYTES)
        ended = len(piece) < MEMORY_BYTES
        return {"type": "http.request", "body": piece, "more_body": not ended}

    return replay
