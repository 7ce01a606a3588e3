"""Refusals in the shape that a path's own clients know: under OpenAI's paths, OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE = "application/problem+json"
Shaper = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]


CODES = {"urn:limner:moderation:refused": "content_policy_violation"}
"""What OpenAI calls problems of a type of their own."""


def openai_error(problem: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """A problem as OpenAI tells it, and the status that it gives to such: 400 where we say 422."""
    status = problem["status"]
    error = next(iter(problem.get("errors", ())), {})
    param = error.get("pointer", "").strip("/").partition("/")[0] or None
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    codes = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
    told = {
        "message": "; ".join(filter(None, (problem.get("detail", problem["title"]), problem.get("remedy")))),
        "type": "server_error" if status >= 500 else kinds.get(status, "invalid_request_error"),
        "param": param,
        "code": "model_not_found"
        if (status, param) == (404, "model")
        else CODES.get(problem["type"], codes.get(status)),
    }
    return 400 if status == 422 else status, {"error": told}


SHAPERS: Mapping[str, Shaper] = {"/v1/images/": openai_error, "/v1/models": openai_error}
"""Beginning of a path -> what makes a problem fit there."""


def shaper_of(path: str) -> Shaper | None:
    """What shapes the problems of a path, None where they stay as they are."""
    return next((shaper for begin, shaper in SHAPERS.items() if path.startswith(begin)), None)


class Shaped:
    """Gives the problems of all that is below it the shape of their path."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shaper = shaper_of(scope["path"]) if scope["type"] == "http" else None
        await self.app(scope, receive, send if shaper is None else _shaping(shaper, send))


def _shaping(shaper: Shaper, send: Send) -> Send:
    """Holds a problem back until it is whole, and sends it in its new shape."""
    start: Message | None = None
    body = b""

    async def shaped(message: Message) -> None:
        nonlocal start, body
        if message["type"] == "http.response.start":
            if MutableHeaders(scope=message).get("content-type") == MEDIA_TYPE:
                start = message
                return
        elif message["type"] == "http.response.body" and start is not None:
            body += message.get("body", b"")
            if not message.get("more_body", False):
                status, told = shaper(json.loads(body))
                whole = json.dumps(told).encode()
                headers = MutableHeaders(scope=start)
                headers["content-type"], headers["content-length"] = "application/json", str(len(whole))
                await send({**start, "status": status})
                await send({"type": "http.response.body", "body": whole})
            return
        await send(message)

    return shaped
