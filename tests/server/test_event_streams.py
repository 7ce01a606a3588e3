"""Event streams: their number per account, and how often they poll the database."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from limner.core.events import ArtifactCreated, Progress
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.server import run_events
from limner.server import waiting as module
from limner.server.app import create_app
from limner.server.problems import HTTPError
from limner.server.replies import ArtifactReply
from limner.server.settings import Settings
from limner.server.waiting import POLL, SLOWEST_POLL, STREAMS, RunWaiter
from limner.store.erase import EraseSelection
from limner.store.queue import Queue
from limner.studio.studio import Studio
from serving import parsed

PAINT = {"kind": "generate", "prompt": "a cat"}


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


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_silent_stream_is_kept_open_by_a_comment_every_15_seconds(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(run_events, "monotonic", clock)
    studio = Studio(home)
    events = run_events.RunEvents(studio, studio.enqueue(GenerateRequest(prompt="a cat")), 0)
    sent: list[float] = []
    for moment in (1, 15, 16, 17, 31, 32):
        clock.now = moment
        sent += [moment for event in asyncio.run(events.read()) if event.comment == "keep-alive"]
    assert sent == [16, 32] and events.idle == 6
    studio.close()


def test_progress_is_sent_when_it_changes_and_events_once(home: Path) -> None:
    studio = Studio(home)
    run = studio.enqueue(GenerateRequest(prompt="a cat"))
    queue = Queue(studio.store)
    ((_, lease),) = queue.claim("w")
    events = run_events.RunEvents(studio, run, 0)

    def read() -> list[tuple[str | None, object]]:
        return [(event.event, event.data) for event in asyncio.run(events.read())]

    queue.renew([(lease, Progress(done=1))])
    made = studio.store.add_artifact(run.id, "picture", "/srv/a.png", "a" * 64, {"seed": 7}, lease)
    studio.store.add_event(
        run.id, ArtifactCreated(what="picture", path="/srv/a.png", sha256="a" * 64, details={"seed": 7}), lease
    )
    (kind, data), (progress, done) = read()
    assert (kind, progress) == ("made", "progress") and done == Progress(done=1).model_dump(mode="json")
    ((_, created, _),) = studio.store.events(run.id)
    shown = ArtifactReply.of(made.model_copy(update={"created": created})).model_dump(mode="json")
    assert data == shown and "/srv" not in str(data)
    assert (read(), events.idle) == ([], 1)
    queue.renew([(lease, Progress(done=2))])
    assert ([name for name, _ in read()], events.idle) == (["progress"], 0)
    queue.finish(lease, Status.FAILED, "no memory")
    assert read() == [("end", {"status": "failed", "error": "no memory"})] and events.ended
    studio.close()


def test_event_streams_are_counted_by_account(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(home)
    app = create_app(studio, Settings(accounts=True))
    clients = {}
    for name in ("ann", "bob"):
        bearer = {"Authorization": f"Bearer {studio.accounts.add_key(name)[1]}"}
        clients[name] = TestClient(app, base_url="http://127.0.0.1", headers=bearer)
    urls = {name: client.post("/v1/runs", json=PAINT).json()["url"] for name, client in clients.items()}
    for name, client in clients.items():
        client.post(f"{urls[name]}/cancel")
    monkeypatch.setattr(module, "STREAMS", 1)
    with app.state.server.waiter.stream("ann"):
        statuses = {name: client.get(f"{urls[name]}/events").status_code for name, client in clients.items()}
    assert statuses == {"ann": 429, "bob": 200}
    studio.close()


def test_an_idle_stream_tells_how_long_it_was_idle(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio, idle = Studio(home), list[int]()
    client = TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1")
    run = client.post("/v1/runs", json=PAINT).json()

    async def pause(self: RunWaiter, reads: int) -> bool:
        idle.append(reads)
        if len(idle) == 3:
            Queue(studio.store).cancel(run["id"])
        return True

    monkeypatch.setattr(RunWaiter, "pause", pause)
    assert [event["event"] for event in parsed(client.get(f"{run['url']}/events").content)] == ["end"]
    assert idle == [1, 2, 3]
    studio.close()


def test_a_blank_last_event_id_is_none(home: Path) -> None:
    studio = Studio(home)
    client = TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1")
    run = client.post("/v1/runs", json={"kind": "generate", "prompt": "a cat"}).json()["id"]
    Queue(studio.store).cancel(run)

    def stream(number: str) -> tuple[int, bytes]:
        reply = client.get(f"/v1/runs/{run}/events", headers={"Last-Event-ID": number})
        return reply.status_code, reply.content

    whole = client.get(f"/v1/runs/{run}/events")
    for blank in ("", " ", "\t", "0"):
        assert stream(blank) == (200, whole.content), repr(blank)
    assert [stream(number)[0] for number in ("x", "-1", "1.5", str(2**63))] == [422] * 4
    studio.store.close()
