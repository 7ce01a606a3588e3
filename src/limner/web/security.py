"""What all pages share: the policy of what they may load, and errors as pages."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limner.server.auth import READ_METHODS
from limner.web.rendering import page, part, root_of, wants_part

TITLES = {404: "There is no such page", 403: "You may not do this"}
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
API = ("/v1/", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics", "/generate-image", "/industries")
"""Paths of the HTTP API begin with one of these."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def is_page(scope: Scope) -> bool:
    """Whether a request asks for one of the studio's pages or their files, and not for the HTTP API."""
    return not scope["path"].removeprefix(scope.get("root_path", "").rstrip("/")).startswith(API)


class PageHeadersMiddleware:
    """Adds the policy to every page and asset that has none of its own; a script or style within a page never runs."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_page(scope):
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class ErrorPagesMiddleware:
    """Answers an error of a page as a page, where the API answers it as JSON (RFC 9457)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_page(scope) or not _reads_html(scope):
            return await self.app(scope, receive, send)
        start: Message | None = None
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                kind = Headers(raw=message["headers"]).get("content-type", "")
                if not kind.startswith("application/problem+json"):
                    return await send(message)
                start = message
            elif start is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await error_page(Request(scope), start["status"], json.loads(body))(scope, receive, send)

        await self.app(scope, receive, collect)


def _reads_html(scope: Scope) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "") or "hx-request" in Headers(scope=scope)


def error_page(request: Request, status: int, problem: dict[str, Any]) -> Response:
    """The page of an error, or for htmx the message alone."""
    if status == HTTPStatus.UNAUTHORIZED:
        return sign_in_redirect(request)
    detail, remedy = problem.get("detail") or problem["title"], problem.get("remedy") or ""
    values = {"title": TITLES.get(status, "That did not work"), "problem": detail, "remedy": remedy}
    if wants_part(request):
        return part(request, "error.html", "message", status, **values)
    return page(request, "error.html", status, **values)


def sign_in_redirect(request: Request) -> Response:
    """Go on to the sign-in page, and from there back to the page that was asked for."""
    root = root_of(request)
    here = request.url.path.removeprefix(root) if request.method in READ_METHODS else "/"
    place = f"{root}/sign-in?{urlencode({'next': here})}"
    if "hx-request" in request.headers:
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": place})
    return RedirectResponse(place, HTTPStatus.SEE_OTHER)
