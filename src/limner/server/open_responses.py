"""Ends responses that are still open when their key is revoked, expires or loses its role."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from anyio import CancelScope
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limner.core.errors import LimnerError
from limner.server.problems import HTTPError, error_response

RECHECK = 1.0
"""Seconds between two checks of the key of an open response."""
EVENT_STREAM = "text/event-stream"
log = logging.getLogger("limner.server")


class OpenResponses:
    """Calls an application, and stops it once its caller may no longer get the response.

    A response that has not begun becomes the error of the check. An event stream ends, and its client gets the error
    when it reconnects. Any other response breaks off, so that no client takes a part of it for the whole.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send, check: Callable[[], None]) -> None:
        """Call the application. check: raises HTTPError if the caller may no longer get the response."""
        start: Message | None = None
        refusal: list[HTTPError] = []

        async def record(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            await send(message)

        async def watch(scope: CancelScope) -> None:
            while not refusal:
                await asyncio.sleep(RECHECK)
                try:
                    await run_sync(check)
                except HTTPError as error:
                    refusal.append(error)
                except LimnerError:  # the database does not respond
                    log.warning("the key of an open response could not be checked", exc_info=True)
            scope.cancel()

        with CancelScope() as cancellation:
            watcher = asyncio.create_task(watch(cancellation))
            try:
                await self.app(scope, receive, record)
            finally:
                watcher.cancel()
        if not cancellation.cancelled_caught:
            return
        if start is None:
            await error_response(refusal[0])(scope, receive, send)
        elif Headers(raw=start["headers"]).get("content-type", "").startswith(EVENT_STREAM):
            await send({"type": "http.response.body", "body": b""})
