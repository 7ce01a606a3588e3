"""Error responses: the fields of problem details, and invalid fields by JSON pointer."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, field_validator
from starlette.exceptions import HTTPException

from limner.core.errors import MAX_PROBLEMS, LimnerError, QuotaExceeded, Unavailable
from limner.core.moderation import CheckUnavailable, RequestRefused
from limner.core.runs import STORAGE_ERROR
from limner.server.problems import REFUSED, UNABLE, HTTPError, error_response, install_error_handlers, json_pointer


class Numbers(BaseModel):
    numbers: list[int]


class Named(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def refuse(cls, value: str) -> str:
        raise ValueError(f"{value!r} is not a name")


def client(error: Exception | None = None) -> TestClient:
    """A client of an application whose route raises an error, or takes numbers."""
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/")
    def act(body: Numbers) -> None:
        if error is not None:
            raise error

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("location", "pointer"),
    [
        (("body", "axis", 0, "values"), "/axis/0/values"),
        (("body",), "/"),
        (("query", "limit"), "/query/limit"),
        (("path", "picture"), "/path/picture"),
        (("body", "x" * 81), "/" + "x" * 80),
    ],
)
def test_pointers_of_fields(location: tuple[str | int, ...], pointer: str) -> None:
    assert json_pointer(location) == pointer


@pytest.mark.parametrize("count", [1, 3, 4, MAX_PROBLEMS + 1])
def test_three_invalid_fields_are_in_the_detail_and_fifty_in_the_list(count: int) -> None:
    problem = client().post("/", json={"numbers": ["x"] * count}).json()
    pointers = [error["pointer"] for error in problem["errors"]]
    assert pointers == [f"/numbers/{index}" for index in range(min(count, 50))]
    assert problem["detail"] == "; ".join(f"{each['pointer']}: {each['detail']}" for each in problem["errors"][:3])


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"numbers": [1.5]}, "/numbers/0: use a whole number"),
        ({"numbers": "x"}, "/numbers: use a list"),
        ({}, "/numbers: it is missing"),
        ([], "/: use an object"),
    ],
)
def test_invalid_fields_are_described_as_on_the_command_line(body: object, detail: str) -> None:
    assert client().post("/", json=body).json()["detail"] == detail


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (LimnerError("why", "what to do"), {"status": 422, "detail": "why", "remedy": "what to do"}),
        (LimnerError("why"), {"status": 422, "detail": "why"}),
        (QuotaExceeded("too many", "wait"), {"status": 429, "detail": "too many", "remedy": "wait"}),
        (
            HTTPError(HTTPStatus.NOT_FOUND, "no such model", "choose one", pointer="/model"),
            {
                "status": 404,
                "detail": "no such model",
                "remedy": "choose one",
                "errors": [{"pointer": "/model", "detail": "no such model"}],
            },
        ),
        (
            RequestRefused("the prompt is refused", "hate"),
            {"status": 422, "type": REFUSED, "detail": "the prompt is refused: hate", "category": "hate"},
        ),
        (CheckUnavailable("words"), {"status": 503, "type": UNABLE}),
        (HTTPException(405), {"status": 405, "detail": "Method Not Allowed"}),
    ],
)
def test_errors_of_a_route(error: Exception, wanted: dict[str, object]) -> None:
    reply = client(error).post("/", json={"numbers": []})
    problem = reply.json()
    assert reply.status_code == problem["status"] and reply.headers["Content-Type"] == "application/problem+json"
    assert problem["title"] == HTTPStatus(reply.status_code).phrase and problem.items() >= wanted.items()
    assert ("remedy" in problem) == bool(getattr(error, "remedy", ""))


def test_headers_of_an_error_are_sent() -> None:
    for error in (
        HTTPError(HTTPStatus.TOO_MANY_REQUESTS, "wait", headers={"Retry-After": "7"}),
        HTTPException(429, "wait", {"Retry-After": "7"}),
    ):
        assert client(error).post("/", json={"numbers": []}).headers["Retry-After"] == "7"


def test_what_is_unavailable_is_not_named() -> None:
    reply = error_response(Unavailable("the files at 's3://secret-place' cannot be reached", "check AWS_ENDPOINT_URL"))
    problem = json.loads(bytes(reply.body))
    assert reply.status_code == 503 and "secret" not in str(problem) and "AWS" not in str(problem)
    assert problem["detail"] == STORAGE_ERROR


def test_long_names_in_invalid_fields_are_shortened() -> None:
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/")
    def act(body: Named) -> None: ...

    answer = TestClient(app).post("/", json={"name": "x" * 3000}).json()
    for text in (answer["detail"], answer["errors"][0]["detail"]):
        assert "is not a name" in text and len(text) < 200
