"""The headers `Prefer: wait` (RFC 7240) and `Last-Event-ID`."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from limner.core.events import Notice
from limner.server.app import create_app
from limner.server.runs import wait_seconds
from limner.server.settings import Settings
from limner.store.queue import Queue
from limner.studio.studio import Studio


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("respond-async", 0),
        ("wait", 60),
        ("wait=10", 10),
        ("wait=60", 60),
        ("wait=61", 60),
        ("wait=999999999", 60),
        ("wait=-1", 60),
        ("Wait=5", 5),
        ("respond-async, wait=7", 7),
        ("waiting=5", 0),
    ],
)
def test_prefer_wait_is_limited(prefer: str | None, seconds: float) -> None:
    assert wait_seconds(prefer, 60) == seconds


def test_events_resume_after_last_event_id(home: Path) -> None:
    studio = Studio(home)
    client = TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1")
    run = client.post("/v1/runs", json={"kind": "generate", "prompt": "a cat"}).json()["id"]
    for text in ("one", "two", "three"):
        studio.store.add_event(run, Notice(text=text))
    Queue(studio.store).cancel(run)

    def stream(**headers: str) -> list[str]:
        lines = client.get(f"/v1/runs/{run}/events", headers=headers).text.splitlines()
        return [line.partition(": ")[2] for line in lines if line.startswith(("id:", "event:"))]

    assert [each for each in stream() if each.isdigit()] == ["1", "2", "3"] and stream()[-1] == "end"
    assert [each for each in stream(**{"Last-Event-ID": "2"}) if each.isdigit()] == ["3"]
    assert stream(**{"Last-Event-ID": "3"}) == ["end"]


def test_waiting_for_a_run_that_does_not_end(home: Path) -> None:
    client = TestClient(create_app(Studio(home), Settings(wait_seconds=0.01)), base_url="http://127.0.0.1")
    reply = client.post("/v1/runs", json={"kind": "generate", "prompt": "a cat"}, headers={"Prefer": "wait"})
    assert (reply.status_code, reply.json()["status"]) == (202, "queued")
    assert reply.headers["Preference-Applied"] == "wait" and reply.headers["Location"] == reply.json()["url"]
