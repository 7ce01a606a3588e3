"""Idempotency-Key: a POST that is sent again is answered again, and carried out once (IETF draft of that name)."""

from __future__ import annotations

import hashlib
import re
import tempfile
from contextlib import suppress
from http import HTTPStatus
from typing import IO

from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limner.core.errors import LimnerError
from limner.server.problems import Refusal, refusal
from limner.studio.service import IdempotencyRecords, InFlight, StoredResponse

HELD = 2**20
"""Bytes of a body that stay in memory; more go to disk."""
KEPT = 64 * 2**20
"""The largest answer that is kept."""
BEGUN = 504
"""What was asked for goes on, and is not begun once more; the answer names its run."""
TRANSIENT = (401, 403, 408, 409, 429)
"""Answers that another try may change, besides those that are the server's own fault."""


class Idempotency:
    """Keeps the answers of POSTs that bring a key of their own, for a day."""

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
        with tempfile.SpooledTemporaryFile(HELD) as body:
            try:
                digest = await _spooled(request, body)
                if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
                    raise LimnerError(f"Idempotency-Key {key[:80]!r} is no key", "write 1 to 255 plain characters")
                known = await run_sync(self.answers.begin, account, key, digest)
            except ClientDisconnect:
                return None
            except InFlight as error:
                conflict = Refusal(HTTPStatus.CONFLICT, error.problem, error.remedy)
                return await refusal(conflict)(scope, receive, send)
            except LimnerError as error:
                return await refusal(error)(scope, receive, send)
            if known is not None:
                headers = known.headers | {"Idempotent-Replayed": "true"}
                return await Response(known.body, known.status, headers)(scope, receive, send)
            await self._carry_out(scope, _replayed(body, receive), send, account, key)

    async def _carry_out(self, scope: Scope, receive: Receive, send: Send, account: str, key: str) -> None:
        status, headers, parts, size, whole = 500, {}, [], 0, False

        async def heard(message: Message) -> None:
            nonlocal status, headers, size, whole
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
            elif message["type"] == "http.response.body":
                piece = message.get("body", b"")
                size += len(piece)
                if size <= KEPT:
                    parts.append(piece)
                whole = not message.get("more_body", False)
                if whole:  # before the caller hears the end of it
                    await self._settle(account, key, StoredResponse(status, headers, b"".join(parts)), size <= KEPT)
            await send(message)

        try:
            await self.app(scope, receive, heard)
        finally:
            if not whole:
                with suppress(LimnerError):
                    await run_sync(self.answers.forget, account, key)

    async def _settle(self, account: str, key: str, answer: StoredResponse, kept: bool) -> None:
        if kept and (answer.status < 500 or answer.status == BEGUN) and answer.status not in TRANSIENT:
            await run_sync(self.answers.save, account, key, answer)
        else:
            await run_sync(self.answers.forget, account, key)


async def _spooled(request: Request, body: IO[bytes]) -> str:
    """Write the body aside; SHA-256 of what makes a call what it is."""
    kind, _, options = request.headers.get("content-type", "").partition(";")
    boundary = re.search(r'boundary="?([^";]+)', options)
    digest = hashlib.sha256("\n".join((request.url.path, request.url.query, kind)).encode())
    async for piece in request.stream():
        await run_sync(body.write, piece)
    await run_sync(_hash, digest, body, boundary[1].encode() if boundary else b"")
    return digest.hexdigest()


def _hash(digest: hashlib._Hash, body: IO[bytes], boundary: bytes) -> None:
    """Hash a body; what parts a form is chosen anew by the client at each try, and does not count."""
    body.seek(0)
    if boundary:
        digest.update(body.read().replace(boundary, b""))
    else:
        while piece := body.read(HELD):
            digest.update(piece)
    body.seek(0)


def _replayed(body: IO[bytes], receive: Receive) -> Receive:
    """What gives the body once more, and then what the connection says."""
    ended = False

    async def again() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        piece = await run_sync(body.read, HELD)
        ended = len(piece) < HELD
        return {"type": "http.request", "body": piece, "more_body": not ended}

    return again
