"""The door: who comes in, by which key, and how often."""

from __future__ import annotations

from http import HTTPStatus
from math import ceil

from anyio.to_thread import run_sync
from fastapi import Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from limner.core.accounts import Caller, Role
from limner.server.links import Links
from limner.server.problems import Refusal, refusal
from limner.server.rate_limit import Pace
from limner.studio.service import Accounts

BEARER = HTTPBearer(auto_error=False, description="A key, as `limner keys add` tells it; not asked for on loopback.")
LOOKING = ("GET", "HEAD", "OPTIONS")
SAYING = ("/v1/pictures/", "/v1/comparisons", "/v1/collections", "/v1/verify")
"""What changes nothing but what its caller thinks of pictures."""
DOCS = "/docs/files"
OPEN = ("/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/openapi.json")
"""What tells nothing of anyone."""


class Door:
    """Lets those in who have a key, as often as it allows, before a byte of what they send is read.

    accounts: None where whoever calls is the machine's own user. A link that the service signed opens what it names.
    """

    def __init__(self, app: ASGIApp, accounts: Accounts | None, links: Links | None) -> None:
        self.app, self.accounts, self.links, self.pace = app, accounts, links, Pace()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                scope.setdefault("state", {})["caller"] = await self._enter(Request(scope))
            except Refusal as error:
                return await refusal(error)(scope, receive, send)
        await self.app(scope, receive, send)

    async def _enter(self, request: Request) -> Caller:
        if self.accounts is None:
            return Caller()
        path = request.url.path
        if path in OPEN or path.startswith(f"{DOCS}/") or (self.links and await run_sync(self.links.opens, request)):
            return Caller()
        who = await run_sync(known, self.accounts, request.headers)
        if who.limits.per_minute is not None and (seconds := self.pace.wait(who.key, who.limits.per_minute)):
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"more than {who.limits.per_minute} calls a minute",
                "wait a little",
                {"Retry-After": str(ceil(seconds))},
            )
        looks = request.method in LOOKING or request.url.path.startswith(SAYING)
        return allowed(who, Role.VIEWER if looks else Role.MAKER)


def known(accounts: Accounts, headers: Headers) -> Caller:
    """The caller that the key in a request's headers names."""
    kind, _, secret = headers.get("authorization", "").partition(" ")
    who = accounts.caller(secret.strip()) if kind.casefold() == "bearer" else None
    if who is None:
        problem = "the key is unknown, expired or revoked" if secret else "no key is given"
        raise Refusal(
            HTTPStatus.UNAUTHORIZED,
            problem,
            "send the header Authorization: Bearer KEY",
            {"WWW-Authenticate": "Bearer"},
        )
    return who


def caller(request: Request) -> Caller:
    """The caller, for a route to ask for by `Depends`."""
    return request.state.caller


def admin(request: Request) -> Caller:
    """The caller, who must be an admin."""
    return allowed(caller(request), Role.ADMIN)


def allowed(who: Caller, needed: Role) -> Caller:
    """The caller, when its role allows what asks for `needed`."""
    if not who.role.covers(needed):
        raise Refusal(HTTPStatus.FORBIDDEN, f"a {who.role} may not do this", f"use the key of a {needed}")
    return who
