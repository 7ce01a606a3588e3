"""Requests that wait for moderation do not block other requests."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limner.core.errors import LimnerError
from limner.core.requests import GenerateRequest
from limner.server.app import create_app
from limner.server.limits import SUBMISSIONS
from limner.server.settings import Settings
from limner.studio.studio import Studio
from serving import CALL, PAINT

MANY = 50
"""More than the number of threads for requests (40)."""


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    found = Studio(tmp_path)
    yield found
    found.store.close()


async def status(app: Any, method: str, path: str, body: Any = None) -> int:
    """The status of the response to a request."""
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    messages = iter([{"type": "http.request", "body": b"" if body is None else json.dumps(body).encode()}])
    found = list[int]()

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        found.extend([message["status"]] if message["type"] == "http.response.start" else [])

    await app({**scope, "scheme": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}, receive, send)
    return found[0]


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/RUN/retry", "/v1/images/generations", "/generate-image"])
def test_moderation_blocks_no_other_requests(studio: Studio, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    bodies: dict[str, Any] = {"/v1/runs": PAINT, "/v1/images/generations": {"prompt": "a"}, "/generate-image": CALL}
    run, app = studio.enqueue(GenerateRequest(prompt="a")), create_app(studio, Settings())
    release, judged = threading.Event(), list[str]()

    def slow(request: Any, *rest: Any) -> None:
        judged.append(request.prompt)
        assert release.wait(20)
        raise LimnerError("it is refused")

    async def crowd() -> None:
        waiting = [
            asyncio.create_task(status(app, "POST", path.replace("RUN", run.id), bodies.get(path))) for _ in range(MANY)
        ]
        try:
            while len(judged) < SUBMISSIONS.total_tokens:
                await asyncio.sleep(0.01)
            assert await asyncio.wait_for(status(app, "GET", "/v1/runs"), 5) == 200
            assert len(judged) == SUBMISSIONS.total_tokens
        finally:
            release.set()
            assert set(await asyncio.gather(*waiting)) <= {400, 422}

    monkeypatch.setattr(studio.gate, "admit", slow)
    asyncio.run(crowd())
