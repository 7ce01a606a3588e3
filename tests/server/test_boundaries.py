"""The limits that the service describes are those that it keeps, on both sides of each edge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel, TypeAdapter, ValidationError

from hostile import BODIES
from limner.core.execution import AnyBody, body_model
from limner.core.kinds import KINDS
from limner.server.app import create_app
from limner.server.openai_models import Edit, Generation
from limner.server.settings import Settings
from limner.studio.studio import Studio

BODY_MODELS: dict[str, type[BaseModel]] = {name: body_model(name) for name in KINDS}
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    **{name: (AnyBody, {"kind": name, **body}) for name, body in BODIES.items()},
    "generations": (Generation, {"prompt": "a"}),
    "edits": (Edit, {"prompt": "a"}),
}
TYPES: tuple[Any, ...] = (None, True, -1, 0, 0.5, 10**400, "", "\ud800", "a", [], [[]], [None], {}, {"a": {}})
"""A value of each type of JSON, whatever a field takes."""


def edges(schema: dict[str, Any]) -> Iterator[tuple[Any, bool]]:
    """Values at the edges of a field, and whether they are inside."""
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
    return (BODY_MODELS.get(name) or MODELS[name][0]).model_json_schema()["properties"]


def wrong_fields(adapter: TypeAdapter[Any], body: dict[str, Any]) -> set[str]:
    """The fields at fault; any error but pydantic's would be the service's own fault."""
    try:
        adapter.validate_python(body)
    except ValidationError as error:
        return {str(part) for item in error.errors() for part in item["loc"]}
    return set()


@pytest.mark.parametrize("name", MODELS)
def test_fields_are_bounded_as_they_are_described(name: str) -> None:
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


@pytest.mark.parametrize("name", BODY_MODELS)
def test_runs_answer_for_each_field_at_fault(client: TestClient, name: str) -> None:
    _, body = MODELS[name]
    beyond = {
        field: next((value for value, inside in edges(schema) if not inside), None)
        for field, schema in properties(name).items()
    }
    beyond = {field: value for field, value in beyond.items() if value is not None}
    reply = client.post("/v1/runs", json={**body, **beyond})
    assert reply.status_code == 422
    told = {error["pointer"].split("/")[2] for error in reply.json()["errors"]}
    assert told == set(beyond) and len(told) >= 3
    reply = client.post("/v1/runs", json=body)
    assert reply.status_code in (202, 422) and "errors" not in reply.json()


@pytest.mark.parametrize(
    ("field", "value"), [("n", 0), ("n", 11), ("prompt", ""), ("prompt", "a" * 20_001), ("n", "x")]
)
def test_images_answer_for_a_field_at_fault(client: TestClient, field: str, value: object) -> None:
    reply = client.post("/v1/images/generations", json={"prompt": "a", field: value})
    assert reply.status_code == 400 and reply.json()["error"]["param"] == field
