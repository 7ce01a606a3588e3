"""Errors for clients that wait for a run, and cancellation of the run when they disconnect."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from limner.core.requests import GenerateRequest
from limner.core.runs import INTERNAL_ERROR, Run, Status
from limner.server.problems import HTTPError
from limner.server.waiting import cancel_on_disconnect, check_done


def run(status: Status, error: str | None = None) -> Run:
    internal = (error or "").startswith(INTERNAL_ERROR)
    return Run(
        id="x",
        request=GenerateRequest(prompt="a"),
        status=status,
        error=error,
        internal_error=internal,
        created=datetime.now(UTC),
    )


@pytest.mark.parametrize(
    ("status", "error", "answer"),
    [
        (Status.FAILED, "unknown scheduler 'x'", 422),
        (Status.FAILED, f"{INTERNAL_ERROR} (KeyError); see the server log", 500),
        (Status.FAILED, f"unknown scheduler {INTERNAL_ERROR!r}", 422),
        (Status.FAILED, None, 422),
        (Status.CANCELLED, None, 409),
        (Status.QUEUED, None, 504),
        (Status.RUNNING, None, 504),
        (Status.INTERRUPTED, None, 504),
    ],
)
def test_status_of_a_run_that_is_not_done(status: Status, error: str | None, answer: int) -> None:
    with pytest.raises(HTTPError) as caught:
        check_done(run(status, error), 12.4)
    assert caught.value.status == answer
    assert ("GET /v1/runs/x" in caught.value.remedy) == (status is not Status.CANCELLED)
    if error is not None:
        assert caught.value.problem == error
    if answer == 504:
        assert f"the run is not done after 12 s ({status})" in caught.value.problem


@pytest.mark.parametrize(("headers", "given_up"), [({}, ["withdraw x"]), ({"idempotency-key": "k"}, [])])
def test_a_disconnect_cancels_a_queued_run(headers: dict[str, str], given_up: list[str]) -> None:
    done = list[str]()

    async def gone() -> bool:
        return True

    async def waits() -> None:
        request: Any = SimpleNamespace(headers=headers, is_disconnected=gone)
        runs = SimpleNamespace(
            withdraw=lambda run: done.append(f"withdraw {run}"), cancel=lambda run: done.append(f"cancel {run}")
        )
        studio: Any = SimpleNamespace(runs=runs)
        async with cancel_on_disconnect(studio, request, run(Status.QUEUED)):
            for _ in range(100):
                if not done:
                    await asyncio.sleep(0.0005)

    asyncio.run(waits())
    assert done == given_up


def test_a_run_that_is_done_passes() -> None:
    check_done(run(Status.DONE), 0)
