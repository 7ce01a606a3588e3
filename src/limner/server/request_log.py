"""Each call gets a name, by which it is found in the logs, and a line there."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limner.core.logs import CALL

NAME = re.compile(r"[\w.:-]{1,64}", re.ASCII)
log = logging.getLogger("limner.calls")


class Calls:
    """Names calls by the X-Request-ID that they bring, or a new one, and logs how they ended; never their queries,
    which may open something.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get("x-request-id", "")
        name = given if NAME.fullmatch(given) else secrets.token_hex(8)
        began, status = time.perf_counter(), 0

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = name
            await send(message)

        token = CALL.set(name)
        try:
            await self.app(scope, receive, named)
        finally:
            who = scope.get("state", {}).get("caller")
            facts = {
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "milliseconds": round(1000 * (time.perf_counter() - began), 1),
                "account": who.account if who else "",
            }
            log.info("%s %s %d", scope["method"], scope["path"], status, extra={"facts": facts})
            CALL.reset(token)
