"""Idempotency-Key: which calls are the same call, and which responses are stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from limner.core.accounts import Caller
from limner.server.idempotency import IdempotencyMiddleware
from limner.store.idempotency import IdempotencyRecords
from limner.store.runs import Store
from limner.store.tables import IdempotencyRow

KEY = {"Idempotency-Key": "order-1"}


class Service:
    """An application that counts its calls and responds with a status that the test sets."""

    def __init__(self, store: Store) -> None:
        self.calls, self.status, self.account, self.breaks = 0, 201, "ann", False
        answers = IdempotencyRecords(store, timedelta(minutes=1))

        async def answer(request: Request) -> PlainTextResponse:
            self.calls += 1
            return PlainTextResponse(f"call {self.calls}", self.status, {"X-Call": str(self.calls)})

        async def pieces() -> AsyncIterator[str]:
            self.calls += 1
            yield f"call {self.calls}"
            if self.breaks:
                raise OSError("the disk fails")
            yield ", whole"

        async def stream(request: Request) -> StreamingResponse:
            return StreamingResponse(pieces())

        async def echo(request: Request) -> PlainTextResponse:
            self.calls += 1
            return PlainTextResponse(await request.body())

        routes = [Route(path, answer, methods=["POST", "PUT"]) for path in ("/a", "/b")]
        more = [Route("/stream", stream, methods=["POST"]), Route("/echo", echo, methods=["POST"])]
        app = Starlette(routes=[*routes, *more])
        inner = IdempotencyMiddleware(app, answers)

        async def outer(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope.setdefault("state", {})["caller"] = Caller(account=self.account)
            await inner(scope, receive, send)

        self.client = TestClient(outer, raise_server_exceptions=False)

    def post(self, path: str = "/a", body: bytes = b"{}", kind: str = "application/json", **headers: str) -> Any:
        return self.client.post(path, content=body, headers=KEY | {"Content-Type": kind} | headers)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    found = Store(tmp_path_factory.mktemp("answers"))
    yield found
    found.close()


@pytest.fixture
def service(store: Store) -> Service:
    with store.session() as session:
        session.execute(delete(IdempotencyRow))
    return Service(store)


def test_a_repeated_call_gets_the_stored_response(service: Service) -> None:
    first, second = service.post(), service.post()
    assert (first.text, second.text, service.calls) == ("call 1", "call 1", 1)
    assert second.status_code == 201 and second.headers["X-Call"] == "1"
    assert second.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers


@pytest.mark.parametrize(
    "change",
    [{"path": "/b"}, {"path": "/a?x=1"}, {"body": b"{ }"}, {"kind": "application/octet-stream"}],
    ids=["path", "query", "body", "type"],
)
def test_another_call_with_the_same_key_is_refused(service: Service, change: dict[str, Any]) -> None:
    service.post()
    reply = service.post(**change)
    assert reply.status_code == 422 and "was used for another call" in reply.text and service.calls == 1


def test_media_type_parameters_are_ignored(service: Service) -> None:
    service.post()
    assert service.post(kind="application/json; charset=utf-8").text == "call 1"


def test_form_boundaries_are_ignored(service: Service) -> None:
    """Clients choose a new boundary for each try."""

    def send(boundary: str, said: str) -> Any:
        body = f'--{boundary}\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n{said}\r\n--{boundary}--\r\n'
        return service.post(body=body.encode(), kind=f'multipart/form-data; boundary="{boundary}"')

    assert [send(boundary, "a cat").text for boundary in ("4f1c", "b07a9")] == ["call 1", "call 1"]
    assert send("4f1c", "a dog").status_code == 422


def test_idempotency_keys_belong_to_accounts(service: Service) -> None:
    service.post()
    service.account = "bob"
    assert service.post().text == "call 2"
    service.account = "ann"
    assert service.post().text == "call 1"


def test_calls_without_a_key_and_other_methods_are_not_stored(service: Service) -> None:
    for count in (1, 2):
        assert service.client.post("/a", content=b"{}").text == f"call {count}"
    for count in (3, 4):
        assert service.client.put("/a", content=b"{}", headers=KEY).text == f"call {count}"


@pytest.mark.parametrize("status", [200, 201, 202, 400, 404, 413, 422, 504])
def test_final_responses_are_stored(service: Service, status: int) -> None:
    service.status = status
    assert [service.post().status_code for _ in range(2)] == [status, status] and service.calls == 1


@pytest.mark.parametrize("status", [401, 403, 408, 409, 429, 500, 502, 503, 505])
def test_retryable_responses_are_not_stored(service: Service, status: int) -> None:
    service.status = status
    service.post()
    service.status = 201
    assert (service.post().status_code, service.calls) == (201, 2)


def test_a_response_in_pieces_is_stored_whole(service: Service) -> None:
    assert [service.post("/stream").text for _ in range(2)] == ["call 1, whole"] * 2


def test_bodies_that_do_not_fit_into_memory_are_passed_on_compared_and_stored_whole(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limner.server.idempotency.MEMORY_BYTES", 4)
    assert [service.post("/echo", b"0123456789").text for _ in range(2)] == ["0123456789"] * 2
    assert service.post("/echo", b"0123456780").status_code == 422 and service.calls == 1
    for body in (b"01234567", b"012"):
        assert service.post("/echo", body, **{"Idempotency-Key": f"of {len(body)}"}).content == body


def test_an_incomplete_response_is_not_stored(service: Service) -> None:
    service.breaks = True
    assert service.post("/stream").text == "call 1"
    service.breaks = False
    assert service.post("/stream").text == "call 2, whole"


@pytest.mark.parametrize(("most", "again"), [(6, "call 1"), (5, "call 2")])
def test_a_response_that_is_too_large_to_store_is_complete(
    service: Service, monkeypatch: pytest.MonkeyPatch, most: int, again: str
) -> None:
    monkeypatch.setattr("limner.server.idempotency.STORED_BYTES", most)
    assert [service.post().text for _ in range(2)] == ["call 1", again]


@pytest.mark.parametrize(("length", "status"), [(1, 201), (255, 201), (256, 422), (0, 422)])
def test_idempotency_key_length(service: Service, length: int, status: int) -> None:
    assert service.post(**{"Idempotency-Key": "k" * length}).status_code == status
