"""Signing in with an API key, where the service needs keys, and signing out."""

from __future__ import annotations

from http import HTTPStatus

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response

from limner.server.auth import COOKIE, SECURE_COOKIE, check_same_site, session_token
from limner.server.dependencies import StateDep
from limner.web.rendering import go, page, root_of

WEEKS = 4
LONGEST_KEY = 200
router = APIRouter()


@router.get("/sign-in")
def show_form(request: Request, state: StateDep, next: str = "/") -> Response:
    """Ask for a key; a service that needs none goes on to its pages."""
    if not state.settings.needs_keys:
        return go(request, "/")
    return page(request, "sign_in.html", next=local_path(next), problem="")


@router.post("/sign-in")
async def sign_in(request: Request, state: StateDep) -> Response:
    """Begin a session of this browser."""
    check_same_site(request)
    async with request.form(max_files=0, max_fields=4) as form:
        key, place = str(form.get("key", "")).strip()[:LONGEST_KEY], local_path(str(form.get("next", "/")))
    token = await run_sync(state.studio.accounts.sign_in, key)
    if token is None:
        problem = "this key is unknown, expired or revoked; ask the person who runs the service for a new one"
        return page(request, "sign_in.html", HTTPStatus.UNAUTHORIZED, next=place, problem=problem)
    response = go(request, place)
    secure = request.url.scheme == "https"
    root = root_of(request) or "/"
    name, path = (SECURE_COOKIE, "/") if secure and root == "/" else (COOKIE, root)
    response.set_cookie(name, token, WEEKS * 7 * 86_400, path=path, secure=secure, httponly=True, samesite="lax")
    return response


@router.post("/sign-out")
async def sign_out(request: Request, state: StateDep) -> Response:
    """End the session of this browser."""
    check_same_site(request)
    if token := session_token(request.headers):
        await run_sync(state.studio.accounts.sign_out, token)
    response = go(request, "/sign-in")
    response.delete_cookie(SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    response.delete_cookie(COOKIE, path=root_of(request) or "/", httponly=True, samesite="lax")
    return response


def local_path(text: str) -> str:
    """A path of this site to go on to; "/" for anything else, such as another site."""
    safe = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() and len(text) < 2000
    return text if safe else "/"
