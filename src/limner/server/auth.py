"""Authentication and authorisation: bearer keys, roles, rate limits, and signed links to single files."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from math import ceil
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from limner.core.accounts import Caller, Role
from limner.server.limits import RateLimit
from limner.server.open_responses import OpenResponses
from limner.server.problems import HTTPError, error_response
from limner.studio.service import Accounts

BEARER = HTTPBearer(
    auto_error=False, description="A key, as printed by `limner keys add`. The loopback address needs none."
)
READ_METHODS = ("GET", "HEAD", "OPTIONS")
VIEWER_PATHS = (
    "/v1/pictures/",
    "/v1/comparisons",
    "/v1/collections",
    "/v1/verify",
    "/v1/discover/rewrite",
    "/v1/promotions/",
)
"""Paths where a viewer may also write: they change only the caller's own feedback on images, or nothing, or check the
role themselves.
"""
VIEWER_PAGES = (
    "/gallery/mark",
    "/gallery/collections",
    "/gallery/verify/",
    "/gallery/export",
    "/discover/prompts/",
    "/feedback/votes/",
)
"""The same of pages."""
LINK_METHODS = ("GET", "HEAD")
DOCS = "/docs/files"
COOKIE, SECURE_COOKIE = "limner", "__Host-limner"
"""Names of the cookie with a browser's session. A browser sends the second over https only, to this host only."""
PUBLIC_PATHS = ("/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/openapi.json", "/sign-in", "/sign-out")
"""Paths that need no key; they return nothing about any account."""


class AuthMiddleware:
    """Authenticates each request and applies its key's rate limit before the body is read. A response that is open for
    long ends when its key does.

    accounts: None if no key is needed; then every caller is an admin. links: signed links open their file without
    a key.
    """

    def __init__(self, app: ASGIApp, accounts: Accounts | None, links: SignedLinks | None) -> None:
        self.app, self.accounts, self.links, self.rate_limit = app, accounts, links, RateLimit()
        self._responses = OpenResponses(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request, state = Request(scope), scope.setdefault("state", {})
        try:
            check_same_site(request)
        except HTTPError as error:
            return await error_response(error)(scope, receive, send)
        if self.accounts is None or await self._is_public(request):
            state["caller"] = Caller()
            return await self.app(scope, receive, send)
        try:
            state["caller"] = caller = await self._authenticate(self.accounts, request)
        except HTTPError as error:
            return await error_response(error)(scope, receive, send)
        check = partial(_check_again, self.accounts, request.headers, caller)
        await self._responses(scope, receive, send, check)

    async def _authenticate(self, accounts: Accounts, request: Request) -> Caller:
        caller = await run_sync(authenticate, accounts, request.headers)
        limit = caller.limits.per_minute
        if limit is not None and (seconds := self.rate_limit.wait(caller.key, limit)):
            raise HTTPError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"the key allows {limit} requests per minute",
                f"try again in {ceil(seconds)} seconds",
                {"Retry-After": str(ceil(seconds))},
            )
        viewer = request.method in READ_METHODS or path_of(request).startswith(VIEWER_PATHS + VIEWER_PAGES)
        return check_role(caller, Role.VIEWER if viewer else Role.MAKER)

    async def _is_public(self, request: Request) -> bool:
        path = path_of(request)
        if path in PUBLIC_PATHS or path.startswith((f"{DOCS}/", "/static/")):
            return True
        return self.links is not None and await run_sync(self.links.verify, request)


def path_of(request: Request) -> str:
    """Return the path of a request below the one at which a proxy serves this server."""
    return request.url.path.removeprefix(request.scope.get("root_path", "").rstrip("/"))


def authenticate(accounts: Accounts, headers: Headers) -> Caller:
    """Return the caller whose key, or whose browser's session, is in the headers; raises HTTPError (401) without a
    valid one.
    """
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    token = session_token(headers)
    if scheme:
        caller = accounts.caller(secret.strip()) if scheme.casefold() == "bearer" else None
    else:
        caller = accounts.session_caller(token) if token else None
    if caller is None:
        raise HTTPError(
            HTTPStatus.UNAUTHORIZED,
            "the key is unknown, expired or revoked" if secret else "the request has no key",
            "send the header Authorization: Bearer KEY",
            {"WWW-Authenticate": "Bearer"},
        )
    return caller


def session_token(headers: Headers) -> str:
    """Return the token of a browser's session; empty if the headers have none."""
    cookies = cookie_parser(headers.get("cookie", ""))
    return cookies.get(SECURE_COOKIE) or cookies.get(COOKIE, "")


def check_same_site(request: Request) -> None:
    """Raise HTTPError (403) for a change that a page of another site asks for in the name of a signed-in browser.

    Browsers say so in Sec-Fetch-Site; the Origin of requests without it is compared with the host before.
    """
    if request.method in READ_METHODS or "authorization" in request.headers:
        return
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        raise HTTPError(HTTPStatus.FORBIDDEN, "a page of another site asked for this", "open it from the studio itself")


def _check_again(accounts: Accounts, headers: Headers, caller: Caller) -> None:
    """Raise HTTPError (401, 403) if a caller's key is not valid any more, or its role is lower."""
    check_role(authenticate(accounts, headers), caller.role)


def check_role(caller: Caller, needed: Role) -> Caller:
    """Return the caller; raises HTTPError (403) if its role is lower than `needed`."""
    if not caller.role.covers(needed):
        raise HTTPError(HTTPStatus.FORBIDDEN, f"a {caller.role} may not do this", f"use the key of a {needed}")
    return caller


async def current_caller(request: Request) -> Caller:
    """Return the authenticated caller."""
    return request.state.caller


async def current_admin(request: Request) -> Caller:
    """Return the authenticated caller; raises HTTPError (403) if it is no admin."""
    return check_role(request.state.caller, Role.ADMIN)


CallerDep = Annotated[Caller, Depends(current_caller)]
AdminDep = Annotated[Caller, Depends(current_admin)]


class SignedLinks:
    """Signs links to stored files, like presigned URLs of object stores (HMAC-SHA256 of the path and expiry time).

    secret: loaded when first needed. seconds: how long a link is valid.
    """

    def __init__(self, secret: Callable[[], bytes], seconds: int = 24 * 3600, clock: Callable[[], float] = time.time):
        self._secret, self._seconds, self._clock = secret, seconds, clock

    def sign(self, path: str) -> str:
        """Return the path with its expiry time and signature as query parameters."""
        until = int(self._clock()) + self._seconds
        return f"{path}?until={until}&signature={self._signature(path, until)}"

    def verify(self, request: Request) -> bool:
        """Return whether a request reads the path of a valid link that has not expired."""
        return request.method in LINK_METHODS and self.opens(path_of(request), request.query_params)

    def opens(self, path: str, query: Mapping[str, str]) -> bool:
        """Return whether the query of a link to a path is valid and has not expired."""
        until, signature = (query.get(name, "") for name in ("until", "signature"))
        if not (signature and until.isascii() and until.isdigit()) or len(until) > 12 or int(until) < self._clock():
            return False
        return hmac.compare_digest(self._signature(path, int(until)).encode(), signature.encode())

    def _signature(self, path: str, until: int) -> str:
        return hmac.new(self._secret(), f"{path}\n{until}".encode(), hashlib.sha256).hexdigest()
