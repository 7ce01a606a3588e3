"""Errors as problem details (RFC 9457): one shape for all of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from anyio import EndOfStream
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from limner.core.errors import MAX_PROBLEMS, LimnerError, QuotaExceeded, Unavailable, invalid
from limner.core.moderation import RequestRefused, Unable
from limner.core.runs import INTERNAL_ERROR
from limner.server.error_format import MEDIA_TYPE, Shaped

REFUSED, UNABLE = "urn:limner:moderation:refused", "urn:limner:moderation:unable"
"""Types of problems: what moderation refuses, and what it cannot judge."""
log = logging.getLogger("limner.server")


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it. remedy: how to mend it. errors: the fields at fault, as JSON pointers.
    category: what a request was refused for by moderation.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    remedy: str | None = None
    category: str | None = None
    errors: list[dict[str, str]] | None = Field(default=None, examples=[[{"pointer": "/prompt", "detail": "..."}]])


class Refusal(LimnerError):
    """A mistake of a client with a status of its own. pointer: the field at fault, as a JSON pointer."""

    def __init__(
        self,
        status: HTTPStatus,
        problem: str,
        remedy: str = "",
        headers: Mapping[str, str] | None = None,
        pointer: str | None = None,
    ) -> None:
        super().__init__(problem, remedy)
        self.status, self.headers = status, headers
        self.errors = None if pointer is None else [{"pointer": pointer, "detail": self.problem}]


def reply(
    status: int, detail: str | None = None, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """A problem as a response."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **more)
    body = problem.model_dump(exclude_none=True)
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


STATUSES: dict[type[LimnerError], HTTPStatus] = {
    QuotaExceeded: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


def refusal(error: LimnerError) -> JSONResponse:
    """A mistake as a response, of the status that its kind has."""
    if isinstance(error, Unavailable):
        log.error("%s", error)
        error = Unavailable("something that the service stands on does not work now", "try again in a while")
    own = isinstance(error, Refusal)
    status = error.status if own else STATUSES.get(type(error), HTTPStatus.UNPROCESSABLE_ENTITY)
    more = {"headers": error.headers, "errors": error.errors} if own else {}
    return reply(status, error.problem, remedy=error.remedy or None, **more)


def install(app: FastAPI) -> None:
    """Let every error of the app leave it as a problem."""

    @app.exception_handler(LimnerError)
    def mistake(request: Request, error: LimnerError) -> JSONResponse:
        return refusal(error)

    @app.exception_handler(RequestRefused)
    def refused_by_policy(request: Request, error: RequestRefused) -> JSONResponse:
        return reply(422, error.problem, type=REFUSED, remedy=error.remedy, category=error.category)

    @app.exception_handler(Unable)
    def not_judged(request: Request, error: Unable) -> JSONResponse:
        return reply(503, error.problem, type=UNABLE, remedy=error.remedy)

    @app.exception_handler(RequestValidationError)
    def unfit(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [{"pointer": pointer(item["loc"]), "detail": item["msg"]} for item in error.errors()[:MAX_PROBLEMS]]
        return reply(422, "; ".join(f"{item['pointer']}: {item['detail']}" for item in found[:3]), errors=found)

    @app.exception_handler(ValidationError)
    def invalid_request(request: Request, error: ValidationError) -> JSONResponse:
        return reply(422, str(invalid(error)))

    @app.exception_handler(ClientDisconnect)
    @app.exception_handler(EndOfStream)
    def gone(request: Request, error: Exception) -> JSONResponse:
        return reply(400, "the connection ended before the body did")  # which nobody hears

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> JSONResponse:
        return reply(error.status_code, error.detail, error.headers)

    @app.exception_handler(Exception)
    def fault(request: Request, error: Exception) -> Shaped:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return Shaped(reply(500, f"{INTERNAL_ERROR}; its log tells more"))  # it is sent from above all middleware


def pointer(place: tuple[Any, ...]) -> str:
    """Where in the body, the query or the headers a value stands."""
    where, *rest = place
    return "/" + "/".join(str(part)[:80] for part in (rest if where == "body" else place))
