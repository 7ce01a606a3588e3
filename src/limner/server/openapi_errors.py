"""How the OpenAPI document describes errors: in the format that each path gives them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from limner.server.error_format import MEDIA_TYPE, shaper_of

PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
OPENAI = {
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
FAULTS = {"5XX": "Limner's own fault, or of something that it stands on."}


def describe(app: FastAPI) -> None:
    """Let the application describe itself, with its refusals in the shape that each path gives them."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            told = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            for path, operations in told["paths"].items():
                shape = PROBLEM if shaper_of(path) is None else OPENAI
                for operation in operations.values():
                    _shape(operation["responses"], shape)
            app.openapi_schema = told
        return app.openapi_schema

    app.openapi = openapi


def _shape(responses: dict[str, Any], shape: dict[str, Any]) -> None:
    for status, said in FAULTS.items():
        responses.setdefault(status, {"description": said})
    for status, response in responses.items():
        if status[0] in "45":
            response["content"] = shape
