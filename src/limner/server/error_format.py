"""The error format of each path: OpenAI's on its routes, problem details elsewhere; also in the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE = "application/problem+json"
ErrorFormat = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]
"""Converts problem details to the status and the body of another error format."""

OPENAI_CODES = {"urn:limner:moderation:refused": "content_policy_violation"}
"""Problem type -> OpenAI's error code."""
PROBLEM_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
OPENAI_CONTENT = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["message", "type", "param", "code"],
                    "properties": {
                        "message": {"type": "string"},
                        "type": {"type": "string"},
                        "param": {"type": ["string", "null"]},
                        "code": {"type": ["string", "null"]},
                    },
                }
            },
        }
    }
}
SERVER_ERRORS = {"5XX": "An error of the server, or of something that it depends on."}


def openai_error(problem: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Convert problem details to OpenAI's status and error body; OpenAI uses status 400 for our 422."""
    status = problem["status"]
    error = next(iter(problem.get("errors", ())), {})
    param = error.get("pointer", "").strip("/").partition("/")[0] or None
    types = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    codes = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
    code = OPENAI_CODES.get(problem["type"], codes.get(status))
    body = {
        "message": "; ".join(filter(None, (problem.get("detail", problem["title"]), problem.get("remedy")))),
        "type": "server_error" if status >= 500 else types.get(status, "invalid_request_error"),
        "param": param,
        "code": "model_not_found" if (status, param) == (404, "model") else code,
    }
    return 400 if status == 422 else status, {"error": body}


FORMATS: Mapping[str, ErrorFormat] = {"/v1/images/": openai_error, "/v1/models": openai_error}
"""Path prefix -> its error format."""


def format_of(path: str) -> ErrorFormat | None:
    """Return the error format of a path, None for problem details."""
    return next((error_format for prefix, error_format in FORMATS.items() if path.startswith(prefix)), None)


class ErrorFormatMiddleware:
    """Converts problem details to the error format of the request's path."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error_format = format_of(scope["path"]) if scope["type"] == "http" else None
        await self.app(scope, receive, send if error_format is None else _converting(error_format, send))


def _converting(error_format: ErrorFormat, send: Send) -> Send:
    """Return a `send` that collects the body of a problem response and sends it in another format."""
    start: Message | None = None
    body = b""

    async def convert(message: Message) -> None:
        nonlocal start, body
        if message["type"] == "http.response.start":
            if MutableHeaders(scope=message).get("content-type") == MEDIA_TYPE:
                start = message
                return
        elif message["type"] == "http.response.body" and start is not None:
            body += message.get("body", b"")
            if not message.get("more_body", False):
                status, converted = error_format(json.loads(body))
                data = json.dumps(converted).encode()
                headers = MutableHeaders(scope=start)
                headers["content-type"], headers["content-length"] = "application/json", str(len(data))
                await send({**start, "status": status})
                await send({"type": "http.response.body", "body": data})
            return
        await send(message)

    return convert


def install_openapi(app: FastAPI) -> None:
    """Make the application's OpenAPI document describe errors in the format of each path."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            for path, operations in schema["paths"].items():
                content = PROBLEM_CONTENT if format_of(path) is None else OPENAI_CONTENT
                for operation in operations.values():
                    _describe_errors(operation["responses"], content)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi


def _describe_errors(responses: dict[str, Any], content: dict[str, Any]) -> None:
    for status, description in SERVER_ERRORS.items():
        responses.setdefault(status, {"description": description})
    for status, response in responses.items():
        if status[0] in "45":
            response["content"] = content
