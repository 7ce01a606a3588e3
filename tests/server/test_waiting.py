"""Waiting for runs: until they end, the time is over or the server stops, and the response then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from fastapi import Request

from limner.core.requests import GenerateRequest
from limner.core.runs import Run, Status
from limner.server import waiting
from limner.server.problems import HTTPError
from limner.server.waiting import RunWaiter, cancel_on_disconnect, check_done
from limner.store.queue import Queue
from limner.studio.studio import Studio

PAINT = GenerateRequest(prompt="a cat")


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    found = Studio(home)
    yield found
    found.close()


def run(status: Status, error: str | None = None, internal_error: bool = False) -> Run:
    created = datetime(2026, 1, 2, tzinfo=UTC)
    return Run(id="x", request=PAINT, status=status, error=error, internal_error=internal_error, created=created)


@pytest.mark.parametrize(
    ("ended", "status", "problem", "remedy"),
    [
        (run(Status.FAILED, "no memory"), 422, "no memory", "GET /v1/runs/x shows the run"),
        (run(Status.FAILED, "a bug", internal_error=True), 500, "a bug", "GET /v1/runs/x shows the run"),
        (run(Status.FAILED), 422, "the run failed", "GET /v1/runs/x shows the run"),
        (run(Status.CANCELLED), 409, "the run was cancelled before it was done", "send the request again"),
        (run(Status.RUNNING), 504, "the run is not done after 12 s (running)", "GET /v1/runs/x shows when it is"),
        (run(Status.QUEUED), 504, "the run is not done after 12 s (queued)", "GET /v1/runs/x shows when it is"),
    ],
)
def test_a_run_that_is_not_done_is_an_error(ended: Run, status: int, problem: str, remedy: str) -> None:
    with pytest.raises(HTTPError) as caught:
        check_done(ended, 12.4)
    assert (caught.value.status, caught.value.problem, caught.value.remedy) == (status, problem, remedy)


def test_a_run_that_is_done_is_no_error() -> None:
    check_done(run(Status.DONE), 12.4)


def test_only_the_call_of_the_ended_run_returns(studio: Studio) -> None:
    waiter, queue = RunWaiter(studio), Queue(studio.store)

    async def act() -> None:
        ending, going = (asyncio.create_task(waiter.ended(studio.enqueue(PAINT), 60)) for _ in range(2))
        await asyncio.sleep(0.1)
        oldest = studio.store.list(9)[-1]
        queue.cancel(oldest.id)
        assert (await asyncio.wait_for(ending, 20)).status is Status.CANCELLED
        await asyncio.sleep(0.1)
        assert not going.done()
        waiter.stop()
        assert (await asyncio.wait_for(going, 20)).status is Status.QUEUED

    asyncio.run(act())


def test_no_call_waits_longer_than_it_asked_or_than_the_server_runs(studio: Studio) -> None:
    waiter, queued = RunWaiter(studio), studio.enqueue(PAINT)
    began = time.monotonic()
    assert asyncio.run(waiter.ended(queued, 0.05)).status is Status.QUEUED
    waiter.stop()
    assert asyncio.run(waiter.ended(queued, 600)).status is Status.QUEUED
    assert not asyncio.run(waiter.pause(10**6)) and time.monotonic() - began < 20


def test_a_run_that_has_ended_is_not_waited_for(studio: Studio) -> None:
    waiter, ended = RunWaiter(studio), studio.enqueue(PAINT)
    ended = Queue(studio.store).cancel(ended.id)
    assert asyncio.run(waiter.ended(ended, 600)).status is Status.CANCELLED


class Connection:
    """A request whose client is there, or gone."""

    def __init__(self, gone: bool, **headers: str) -> None:
        self.gone, self.headers, self.looks = (
            gone,
            {name.replace("_", "-"): value for name, value in headers.items()},
            0,
        )

    async def is_disconnected(self) -> bool:
        self.looks += 1
        return self.gone


@pytest.mark.parametrize(
    ("connection", "status"),
    [
        (Connection(False), Status.QUEUED),
        (Connection(True), Status.CANCELLED),
        (Connection(True, idempotency_key="k"), Status.QUEUED),
    ],
)
def test_a_client_is_watched_until_its_response(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, connection: Connection, status: Status
) -> None:
    monkeypatch.setattr(waiting, "DISCONNECT_POLL", 0.001)
    queued = studio.enqueue(PAINT)

    async def act() -> None:
        async with cancel_on_disconnect(studio, cast(Request, connection), queued):
            await asyncio.sleep(0.3)
        looks = connection.looks
        await asyncio.sleep(0.05)
        assert connection.looks <= looks + 1

    asyncio.run(act())
    assert studio.store.get(queued.id).status is status
    assert (connection.looks == 0) == bool(connection.headers)
