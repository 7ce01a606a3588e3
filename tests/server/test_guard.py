"""By what names a server is called, from whose pages, and how much a body may hold."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from limner.server.bounds import Bounds
from limner.server.guard import Guard


async def length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


APP = Starlette(routes=[Route("/", length, methods=["GET", "POST"])])


def answered(literal: bool = False, **headers: str) -> int:
    guarded: Any = Guard(APP, ("127.0.0.1", "localhost", "[::1]", "Limner.Example"), literal)
    return TestClient(guarded).get("/", headers=headers).status_code


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:7412", "LOCALHOST:1", "[::1]:80", "[::1]", "limner.example"])
def test_a_server_has_its_own_names(host: str) -> None:
    assert answered(Host=host) == answered(Host=host, literal=True) == 200


@pytest.mark.parametrize("host", ["10.1.2.3", "10.1.2.3:80", "[fd00::1]:80", "8.8.8.8"])
def test_any_address_names_it_only_where_it_listens_to_all(host: str) -> None:
    assert (answered(Host=host), answered(Host=host, literal=True)) == (421, 200)


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1.evil.example", "limner.example.evil", "localhost:x"])
def test_no_other_name_does(host: str) -> None:
    assert answered(Host=host) == answered(Host=host, literal=True) == 421


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:7412", 200),
        ("https://127.0.0.1:7412", 200),
        ("http://127.0.0.1:80", 403),
        ("http://127.0.0.1", 403),
        ("http://localhost:7412", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_only_its_own_pages_may_call_it(origin: str, status: int) -> None:
    assert answered(Host="127.0.0.1:7412", Origin=origin) == status


@pytest.mark.parametrize(
    ("kind", "size", "status"),
    [
        ("application/json", 2**20, 200),
        ("application/json", 2**20 + 1, 413),
        ("text/plain", 2**20 + 1, 413),
        ("", 2**20 + 1, 413),
        ("application/octet-stream", 2**20 + 1, 200),
        ("application/octet-stream", 3 * 2**20, 200),
        ("application/octet-stream", 3 * 2**20 + 1, 413),
        ("multipart/form-data; boundary=x", 3 * 2**20, 200),
        ("IMAGE/PNG", 3 * 2**20, 200),
        ("application/zip", 3 * 2**20 + 1, 413),
    ],
)
def test_a_body_is_of_a_mebibyte_and_an_upload_of_what_is_allowed(kind: str, size: int, status: int) -> None:
    bounded: Any = Bounds(APP, 3 * 2**20)
    reply = TestClient(bounded).post("/", content=b"x" * size, headers={"Content-Type": kind})
    assert reply.status_code == status and (status != 200 or reply.text == str(size))
