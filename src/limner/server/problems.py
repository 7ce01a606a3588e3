"""Error responses as problem details (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from anyio import EndOfStream
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from limner.core.disk import is_disk_error
from limner.core.errors import MAX_PROBLEMS, LimnerError, QuotaExceeded, Unavailable, invalid
from limner.core.moderation import CheckUnavailable, RequestRefused
from limner.core.runs import INTERNAL_ERROR, STORAGE_ERROR
from limner.core.text import shorten_names
from limner.core.value_errors import describe_value_error
from limner.server.error_format import MEDIA_TYPE, ErrorFormatMiddleware

REFUSED, UNABLE = "urn:limner:moderation:refused", "urn:limner:moderation:unable"
"""Problem types: moderation refused the request, or could not judge it."""
log = logging.getLogger("limner.server")


class Problem(BaseModel):
    """Problem details (RFC 9457). remedy: what to do about it. errors: invalid fields, as JSON pointers. category: why
    moderation refused the request.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    remedy: str | None = None
    category: str | None = None
    errors: list[dict[str, str]] | None = Field(default=None, examples=[[{"pointer": "/prompt", "detail": "..."}]])


class HTTPError(LimnerError):
    """A client error with its own HTTP status. pointer: the invalid field, as a JSON pointer."""

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


@contextmanager
def http_status(status: HTTPStatus, remedy: str | None = None, pointer: str | None = None) -> Generator[None]:
    """Give errors of the client inside the block an HTTP status; what is unavailable stays so.

    remedy: replaces the one of the error.
    """
    try:
        yield
    except (HTTPError, Unavailable):
        raise
    except LimnerError as error:
        remedy = error.remedy if remedy is None else remedy
        raise HTTPError(status, error.problem, remedy, pointer=pointer) from error


def problem_response(
    status: int, detail: str | None = None, headers: Mapping[str, str] | None = None, **fields: Any
) -> JSONResponse:
    """Return a response with problem details; `fields` are further fields of Problem."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **fields)
    body = problem.model_dump(exclude_none=True)
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


STATUSES: dict[type[LimnerError], HTTPStatus] = {
    QuotaExceeded: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


def error_response(error: LimnerError) -> JSONResponse:
    """Return the response for an error, with the status of its type. What is unavailable is logged and not named."""
    if isinstance(error, Unavailable):
        log.error("%s", error)
        error = Unavailable(STORAGE_ERROR, "try again later")
    if isinstance(error, HTTPError):
        return problem_response(
            error.status, error.problem, error.headers, remedy=error.remedy or None, errors=error.errors
        )
    status = STATUSES.get(type(error), HTTPStatus.UNPROCESSABLE_ENTITY)
    return problem_response(status, error.problem, remedy=error.remedy or None)


def install_error_handlers(app: FastAPI) -> None:
    """Make the application return every error as problem details."""

    @app.exception_handler(LimnerError)
    def limner_error(request: Request, error: LimnerError) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(OSError)
    def disk_error(request: Request, error: OSError) -> JSONResponse:
        if not is_disk_error(error):
            raise error
        return error_response(Unavailable(str(error)))

    @app.exception_handler(RequestRefused)
    def refused_by_moderation(request: Request, error: RequestRefused) -> JSONResponse:
        return problem_response(422, error.problem, type=REFUSED, remedy=error.remedy, category=error.category)

    @app.exception_handler(CheckUnavailable)
    def moderation_unable(request: Request, error: CheckUnavailable) -> JSONResponse:
        return problem_response(503, error.problem, type=UNABLE, remedy=error.remedy)

    @app.exception_handler(RequestValidationError)
    def request_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [
            {"pointer": json_pointer(item["loc"]), "detail": shorten_names(describe_value_error(item))}
            for item in error.errors()[:MAX_PROBLEMS]
        ]
        detail = "; ".join(f"{item['pointer']}: {item['detail']}" for item in found[:3])
        return problem_response(422, detail, errors=found)

    @app.exception_handler(ValidationError)
    def validation_error(request: Request, error: ValidationError) -> JSONResponse:
        return problem_response(422, str(invalid(error)))

    @app.exception_handler(ClientDisconnect)
    @app.exception_handler(EndOfStream)
    def client_disconnect(request: Request, error: Exception) -> JSONResponse:
        return problem_response(400, "the connection closed before the whole body arrived")  # nobody receives this

    @app.exception_handler(HTTPException)
    def http_exception(request: Request, error: HTTPException) -> JSONResponse:
        return problem_response(error.status_code, error.detail, error.headers)

    @app.exception_handler(Exception)
    def server_error(request: Request, error: Exception) -> ErrorFormatMiddleware:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        # starlette sends this response from above all other middleware
        return ErrorFormatMiddleware(problem_response(500, f"{INTERNAL_ERROR}; see the server log"))


def json_pointer(location: tuple[Any, ...]) -> str:
    """Return the JSON pointer of a pydantic error location in the body, query or headers."""
    where, *rest = location
    return "/" + "/".join(str(part)[:80] for part in (rest if where == "body" else location))
