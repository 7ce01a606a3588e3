"""Event streams: their number per account, and how often they poll the database."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from limner.server import waiting as module
from limner.server.app import create_app
from limner.server.problems import HTTPError
from limner.server.settings import Settings
from limner.server.waiting import POLL, SLOWEST_POLL, STREAMS, RunWaiter
from limner.store.erase import EraseSelection
from limner.store.queue import Queue
from limner.studio.studio import Studio
from serving import parsed


def test_event_streams_of_an_account_are_limited(home: Path) -> None:
    streams = RunWaiter(Studio(home))
    opened = [streams.stream("ann") for _ in range(STREAMS)]
    for stream in opened:
        stream.__enter__()
    with pytest.raises(HTTPError, match="the account has 32 event streams open, which is the most") as refused:
        streams.stream("ann").__enter__()
    assert refused.value.status == 429
    with streams.stream("bob"):
        pass
    opened[0].__exit__(None, None, None)
    with streams.stream("ann"):
        pass


def test_a_stream_is_counted_until_it_ends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(home)
    client = TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1")
    run = client.post("/v1/runs", json={"kind": "generate", "prompt": "a cat"}).json()["id"]
    Queue(studio.store).cancel(run)
    monkeypatch.setattr(module, "STREAMS", 1)
    for _ in range(3):
        assert client.get(f"/v1/runs/{run}/events").status_code == 200
    monkeypatch.setattr(module, "STREAMS", 0)
    refused = client.get(f"/v1/runs/{run}/events")
    assert refused.status_code == 429 and "close one of them" in refused.text
    assert client.get("/v1/runs/nosuch/events").status_code == 404


def test_the_stream_of_an_erased_run_ends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(home)
    client = TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1")
    run = client.post("/v1/runs", json={"kind": "generate", "prompt": "a cat"}).json()["id"]

    async def erased(self: object, idle: int) -> bool:
        studio.maintenance.erase(EraseSelection(runs=(run,)))
        return True

    monkeypatch.setattr(module.RunWaiter, "pause", erased)
    (event,) = parsed(client.get(f"/v1/runs/{run}/events").content)
    assert event["event"] == "end" and json.loads(event["data"]) == {"status": "erased", "error": None}


@pytest.mark.parametrize(
    ("idle", "seconds"), [(0, POLL), (9, POLL), (10, 2 * POLL), (90, SLOWEST_POLL), (10**6, SLOWEST_POLL)]
)
def test_an_idle_stream_polls_less_often(
    home: Path, monkeypatch: pytest.MonkeyPatch, idle: int, seconds: float
) -> None:
    slept: list[float] = []

    async def sleep(wait: float) -> None:
        slept.append(wait)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    assert asyncio.run(RunWaiter(Studio(home)).pause(idle))
    assert slept == [pytest.approx(seconds)]
