"""Streams of events: how many one account may have open, and how often each looks at the database."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from limner.server import waiting as module
from limner.server.app import create_app
from limner.server.problems import Refusal
from limner.server.settings import Settings
from limner.server.waiting import LOOK, SLOWEST, STREAMS, waiting
from limner.store.erase import EraseSelection
from limner.store.queue import Queue
from limner.studio.studio import Studio
from serving import parsed


def test_an_account_has_so_many_streams_and_others_have_their_own(home: Path) -> None:
    streams = waiting(Studio(home))
    opened = [streams.stream("ann") for _ in range(STREAMS)]
    for stream in opened:
        stream.__enter__()
    with pytest.raises(Refusal, match="32 streams of events are open already; close one of them first") as refused:
        streams.stream("ann").__enter__()
    assert refused.value.status == 429
    with streams.stream("bob"):
        pass
    opened[0].__exit__(None, None, None)
    with streams.stream("ann"):
        pass


def test_a_stream_counts_until_it_ends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_stream_of_a_run_that_is_erased_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(home)
    client = TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1")
    run = client.post("/v1/runs", json={"kind": "generate", "prompt": "a cat"}).json()["id"]

    async def erased(self: object, quiet: int) -> bool:
        studio.maintenance.erase(EraseSelection(runs=(run,)))
        return True

    monkeypatch.setattr(module.Waiting, "pause", erased)
    (told,) = parsed(client.get(f"/v1/runs/{run}/events").content)
    assert told["event"] == "end" and json.loads(told["data"]) == {"status": "erased", "error": None}


@pytest.mark.parametrize(("quiet", "seconds"), [(0, LOOK), (9, LOOK), (10, 2 * LOOK), (90, SLOWEST), (10**6, SLOWEST)])
def test_a_stream_looks_less_often_where_nothing_is_new(
    home: Path, monkeypatch: pytest.MonkeyPatch, quiet: int, seconds: float
) -> None:
    slept: list[float] = []

    async def sleep(wait: float) -> None:
        slept.append(wait)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    assert asyncio.run(waiting(Studio(home)).pause(quiet))
    assert slept == [pytest.approx(seconds)]
