"""Allowed host names and origins, and limits of request bodies."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from limner.server.app import create_app
from limner.server.hosts import HostsMiddleware
from limner.server.limits import (
    EXAMINATION_WAIT,
    JSON_BRACKETS,
    SUBMISSIONS,
    UPLOAD_PATHS,
    BodyLimitMiddleware,
    is_upload,
)
from limner.server.marketing import DOWNLOADS
from limner.server.settings import Settings
from limner.server.verify import EXAMINATION_SECONDS
from limner.studio.studio import Studio


async def length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


APP = Starlette(routes=[Route("/{path:path}", length, methods=["GET", "POST"])])


def answered(any_address: bool = False, **headers: str) -> int:
    guarded: Any = HostsMiddleware(APP, ("127.0.0.1", "localhost", "[::1]", "Limner.Example"), any_address)
    return TestClient(guarded).get("/", headers=headers).status_code


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:7412", "LOCALHOST:1", "[::1]:80", "[::1]", "limner.example"])
def test_own_host_names_are_allowed(host: str) -> None:
    assert answered(Host=host) == answered(Host=host, any_address=True) == 200


@pytest.mark.parametrize("host", ["10.1.2.3", "10.1.2.3:80", "[fd00::1]:80", "8.8.8.8"])
def test_other_addresses_are_allowed_only_on_all_interfaces(host: str) -> None:
    assert (answered(Host=host), answered(Host=host, any_address=True)) == (421, 200)


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1.evil.example", "limner.example.evil", "localhost:x"])
def test_other_host_names_are_refused(host: str) -> None:
    assert answered(Host=host) == answered(Host=host, any_address=True) == 421


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
def test_other_origins_are_refused(origin: str, status: int) -> None:
    assert answered(Host="127.0.0.1:7412", Origin=origin) == status


@pytest.mark.parametrize(
    ("path", "kind", "size", "status"),
    [
        ("/v1/runs", "application/json", 2**20, 200),
        ("/v1/runs", "application/json", 2**20 + 1, 413),
        ("/v1/runs", "application/zip+json", 2**20 + 1, 413),
        ("/v1/runs", "application/octet-stream", 2**20 + 1, 413),
        ("/v1/runs", "multipart/form-data; boundary=x", 2**20 + 1, 413),
        ("/v1/files", "text/plain", 2**20 + 1, 413),
        ("/v1/files", "", 2**20 + 1, 413),
        ("/v1/files", "application/zip+json", 2**20 + 1, 413),
        ("/v1/files", "application/octet-stream", 2**20 + 1, 200),
        ("/v1/files", "application/octet-stream", 3 * 2**20, 200),
        ("/v1/files", "application/octet-stream", 3 * 2**20 + 1, 413),
        ("/v1/folders", "multipart/form-data; boundary=x", 3 * 2**20, 200),
        ("/v1/folders", "application/zip", 3 * 2**20 + 1, 413),
        ("/v1/verify", "IMAGE/PNG", 3 * 2**20, 200),
        ("/v1/images/edits", "application/x-www-form-urlencoded", 2**20 + 1, 413),
    ],
)
def test_body_size_limits(path: str, kind: str, size: int, status: int) -> None:
    bounded: Any = BodyLimitMiddleware(APP, 3 * 2**20)
    reply = TestClient(bounded).post(path, content=b"x" * size, headers={"Content-Type": kind})
    assert reply.status_code == status and (status != 200 or reply.text == str(size))


def test_limits_of_the_server() -> None:
    assert (JSON_BRACKETS, EXAMINATION_WAIT, SUBMISSIONS.total_tokens) == (100_000, 60.0, 8)
    assert (EXAMINATION_SECONDS, DOWNLOADS.total_tokens) == (60.0, 16)


@pytest.mark.parametrize("bracket", [b"[", b"{"])
def test_bracket_limit_of_json_bodies(bracket: bytes) -> None:
    client = TestClient(cast(Any, BodyLimitMiddleware(APP, 3 * 2**20)))
    kind = {"Content-Type": "application/zip"}
    assert client.post("/v1/runs", content=bracket * JSON_BRACKETS, headers=kind).status_code == 200
    assert client.post("/v1/runs", content=bracket * (JSON_BRACKETS + 1), headers=kind).status_code == 413
    assert client.post("/v1/files", content=bracket * (JSON_BRACKETS + 1), headers=kind).status_code == 200


def test_the_first_of_two_media_types_is_used() -> None:
    bounded: Any = BodyLimitMiddleware(APP, 3 * 2**20)
    kinds = [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Type", "multipart/form-data; boundary=x")]
    reply = TestClient(bounded).post("/v1/images/edits", content=b"x" * (2**20 + 1), headers=kinds)
    assert reply.status_code == 413


def test_upload_limits_are_for_routes_that_take_files(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    described = create_app(studio, Settings()).openapi()["paths"]
    studio.store.close()
    bodies = {
        path: set(operation["requestBody"]["content"])
        for path, operations in described.items()
        for operation in operations.values()
        if "requestBody" in operation
    }
    assert {path for path, kinds in bodies.items() if kinds != {"application/json"}} == set(UPLOAD_PATHS)
    for path in UPLOAD_PATHS:
        for kind in bodies[path]:
            assert is_upload({"type": "http", "path": path, "headers": [(b"content-type", kind.encode())]})


def test_the_upload_limit_of_the_settings_is_for_forms_too(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    client = TestClient(create_app(studio, Settings(upload_bytes=2000)), base_url="http://127.0.0.1")
    for path in ("/v1/images/edits", "/v1/folders"):
        statuses = [client.post(path, files={"x": ("a.png", b"x" * size)}).status_code for size in (10, 2000)]
        assert statuses[0] != 413 and statuses[1] == 413, path
    studio.close()
