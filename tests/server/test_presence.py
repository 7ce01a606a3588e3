"""What a client that waited is answered where its pictures are not there: whose fault it was, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from limner.core.requests import GenerateRequest
from limner.core.runs import FAULT, Run, Status
from limner.server.presence import check_done
from limner.server.problems import Refusal


def run(status: Status, error: str | None = None) -> Run:
    return Run(id="x", request=GenerateRequest(prompt="a"), status=status, error=error, created=datetime.now(UTC))


@pytest.mark.parametrize(
    ("status", "error", "answer"),
    [
        (Status.FAILED, "unknown scheduler 'x'", 422),
        (Status.FAILED, f"{FAULT} (KeyError); its log tells more", 500),
        (Status.FAILED, f"unknown scheduler {FAULT!r}", 422),
        (Status.FAILED, None, 422),
        (Status.CANCELLED, None, 409),
        (Status.QUEUED, None, 504),
        (Status.RUNNING, None, 504),
        (Status.INTERRUPTED, None, 504),
    ],
)
def test_a_run_that_is_not_done(status: Status, error: str | None, answer: int) -> None:
    with pytest.raises(Refusal) as caught:
        check_done(run(status, error), 12.4)
    assert caught.value.status == answer
    assert ("GET /v1/runs/x" in caught.value.remedy) == (status is not Status.CANCELLED)
    if error is not None:
        assert caught.value.problem == error
    if answer == 504:
        assert f"not there after 12 s ({status})" in caught.value.problem


def test_a_run_that_is_done_is_no_refusal() -> None:
    check_done(run(Status.DONE), 0)
