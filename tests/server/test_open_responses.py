"""Open responses: they end soon after their key is revoked, expires or loses its role."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update
from starlette.types import Message, Receive, Scope, Send

from limner.core.accounts import Caller, Role
from limner.core.errors import Unavailable
from limner.server import open_responses as module
from limner.server.app import create_app
from limner.server.auth import AuthMiddleware
from limner.server.open_responses import OpenResponses
from limner.server.settings import Settings
from limner.store.tables import KeyRow
from limner.studio.service import Accounts
from limner.studio.studio import Studio

EVENTS, BYTES = b"text/event-stream; charset=utf-8", b"application/zip"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECHECK", 0.02)


def revoke(accounts: Accounts, key: str) -> None:
    accounts.revoke(key)


def expire(accounts: Accounts, key: str) -> None:
    with accounts.database.writing() as session:
        session.execute(update(KeyRow).where(KeyRow.id == key).values(expires=datetime.now(UTC)))


def demote(accounts: Accounts, key: str) -> None:
    accounts.change_role("ann", Role.VIEWER)


def ended(accounts: Accounts, key: str, secret: str, media_type: bytes | None, change: Any) -> list[Message]:
    """What a client gets from an endless response, or one that never begins (None), whose key changes."""
    sent: list[Message] = []

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        if media_type is not None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", media_type)]})
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
        change(accounts, key)
        await asyncio.sleep(60)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/runs",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {secret}".encode())],
    }
    asyncio.run(asyncio.wait_for(AuthMiddleware(endless, accounts, None)(scope, receive, send), 20))
    return sent


@pytest.mark.parametrize(("change", "status"), [(revoke, 401), (expire, 401), (demote, 403)])
def test_every_open_response_ends_with_its_key(home: Path, change: Callable[..., None], status: int) -> None:
    accounts = Accounts(Studio(home).store)
    key, secret = accounts.add_key("ann", Role.ADMIN)
    start, _ = ended(accounts, key.id, secret, None, change)
    assert start["status"] == status and b"problem+json" in dict(start["headers"])[b"content-type"]
    accounts.change_role("ann", Role.ADMIN)
    for media_type, end in ((EVENTS, [{"type": "http.response.body", "body": b""}]), (BYTES, [])):
        key, secret = accounts.add_key("ann")
        start, first, *last = ended(accounts, key.id, secret, media_type, change)
        assert (start["status"], first["body"], last) == (200, b"first", end), "a download must not look complete"
        accounts.change_role("ann", Role.ADMIN)


def test_a_valid_key_and_a_database_that_does_not_respond_end_nothing() -> None:
    checks: list[int] = []

    def check() -> None:
        checks.append(1)
        if len(checks) == 1:
            raise Unavailable("the database does not respond")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while len(checks) < 3:
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def call() -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {}

        await OpenResponses(app)({}, receive, send, check)
        return sent

    assert [message["status"] for message in asyncio.run(asyncio.wait_for(call(), 20))] == [204]


def test_a_waiting_call_of_a_revoked_key_ends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its idempotency key is free again, and its event stream is not counted any more."""
    studio = Studio(home)
    client = TestClient(create_app(studio, Settings(accounts=True)), base_url="http://127.0.0.1")
    body = {"kind": "generate", "prompt": "a cat"}
    run = studio.accounts.add_key("ann")[1]
    run_id = client.post("/v1/runs", json=body, headers={"Authorization": f"Bearer {run}"}).json()["id"]

    def revoked(method: str, path: str, **headers: str) -> Any:
        """The response to a call whose key is revoked while it waits."""
        key, secret = studio.accounts.add_key("ann")
        caller, checked = studio.accounts.caller, list[str]()

        def counted(secret: str) -> Caller | None:
            checked.append(secret)
            if len(checked) == 2:
                studio.accounts.revoke(key.id)
            return caller(secret)

        with monkeypatch.context() as patch:
            patch.setattr(studio.accounts, "caller", counted)
            headers |= {"Authorization": f"Bearer {secret}"}
            return client.request(method, path, json=body if method == "POST" else None, headers=headers)

    for _ in range(2):
        waited = revoked("POST", "/v1/runs", Prefer="wait", **{"Idempotency-Key": "one"})
        assert waited.status_code == 401 and "revoked" in waited.json()["detail"]
    monkeypatch.setattr("limner.server.waiting.STREAMS", 1)
    for _ in range(2):
        stream = revoked("GET", f"/v1/runs/{run_id}/events")
        assert stream.status_code == 200 and "event: end" not in stream.text
    studio.store.close()
