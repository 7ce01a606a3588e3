"""Limits of request fields: values on both sides of each limit of the schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel, TypeAdapter, ValidationError

from hostile import BODIES
from limner.core.requests import AnyRequest, KnownRequest
from limner.server.app import create_app
from limner.server.openai_models import ImageEditRequest, ImageGenerationRequest
from limner.server.settings import Settings
from limner.studio.studio import Studio

KINDS: dict[str, type[BaseModel]] = {kind.model_fields["kind"].default: kind for kind in get_args(KnownRequest)}
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    **{name: (AnyRequest, {"kind": name, **body}) for name, body in BODIES.items()},
    "generations": (ImageGenerationRequest, {"prompt": "a"}),
    "edits": (ImageEditRequest, {"prompt": "a"}),
}
TYPES: tuple[Any, ...] = (None, True, -1, 0, 0.5, 10**400, "", "\ud800", "a", [], [[]], [None], {}, {"a": {}})
"""A value of each JSON type."""


def edges(schema: dict[str, Any]) -> Iterator[tuple[Any, bool]]:
    """Values at the limits of a field, and whether they are valid."""
    for part in (schema, *schema.get("anyOf", ())):
        step = 1 if part.get("type") == "integer" else 0.001
        for least, most, sign in (("minimum", "exclusiveMinimum", -1), ("maximum", "exclusiveMaximum", 1)):
            if least in part:
                yield part[least], True
                yield part[least] + sign * step, False
            if most in part:
                yield part[most], False
        if "maxLength" in part:
            yield "a" * (part["maxLength"] + 1), False
        if part.get("minLength"):
            yield "", False


def properties(name: str) -> dict[str, Any]:
    return (KINDS.get(name) or MODELS[name][0]).model_json_schema()["properties"]


def wrong_fields(adapter: TypeAdapter[Any], body: dict[str, Any]) -> set[str]:
    """The invalid fields; any error except a ValidationError would be a server error."""
    try:
        adapter.validate_python(body)
    except ValidationError as error:
        return {str(part) for item in error.errors() for part in item["loc"]}
    return set()


@pytest.mark.parametrize("name", MODELS)
def test_fields_have_the_limits_of_their_schema(name: str) -> None:
    model, body = MODELS[name]
    adapter = TypeAdapter(model)
    tried = 0
    for field, schema in properties(name).items():
        for value, inside in edges(schema):
            assert (field in wrong_fields(adapter, {**body, field: value})) != inside, (field, str(value)[:80])
            tried += 1
        for value in TYPES:
            wrong_fields(adapter, {**body, field: value})
    assert tried >= 10


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    studio = Studio(tmp_path / "home")
    yield TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1", raise_server_exceptions=False)
    studio.store.close()


@pytest.mark.parametrize("name", KINDS)
def test_run_errors_name_every_invalid_field(client: TestClient, name: str) -> None:
    _, body = MODELS[name]
    beyond = {
        field: next((value for value, inside in edges(schema) if not inside), None)
        for field, schema in properties(name).items()
    }
    beyond = {field: value for field, value in beyond.items() if value is not None}
    reply = client.post("/v1/runs", json={**body, **beyond})
    assert reply.status_code == 422
    named = {error["pointer"].split("/")[2] for error in reply.json()["errors"]}
    assert named == set(beyond) and len(named) >= 3
    reply = client.post("/v1/runs", json=body)
    assert reply.status_code in (202, 422) and "errors" not in reply.json()


@pytest.mark.parametrize(
    ("field", "value"), [("n", 0), ("n", 11), ("prompt", ""), ("prompt", "a" * 20_001), ("n", "x")]
)
def test_image_errors_name_the_invalid_field(client: TestClient, field: str, value: object) -> None:
    reply = client.post("/v1/images/generations", json={"prompt": "a", field: value})
    assert reply.status_code == 400 and reply.json()["error"]["param"] == field
