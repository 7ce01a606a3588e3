"""A worker writes to a run only as the holder of that very attempt, and for as long as its lease lasts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limner.core.events import Notice
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.store.queue import Queue
from limner.store.runs import Lease, LeaseLost, Store, has_lease
from limner.store.tables import RunRow

PAINT = GenerateRequest(prompt="a dog")
EXPIRED = timedelta(seconds=-1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path)
    yield found
    found.close()


def claimed(queue: Queue, worker: str = "w") -> Lease:
    ((_, lease),) = queue.claim(worker)
    return lease


@pytest.mark.parametrize(
    ("status", "worker", "attempt", "held"),
    [
        (Status.RUNNING, "w", 2, True),
        (Status.RUNNING, "w", 1, False),
        (Status.RUNNING, "w", 3, False),
        (Status.RUNNING, "v", 2, False),
        (Status.RUNNING, None, 2, False),
        (Status.QUEUED, "w", 2, False),
        (Status.DONE, "w", 2, False),
        (Status.CANCELLED, "w", 2, False),
    ],
)
def test_status_worker_and_attempt_make_a_hold(status: Status, worker: str | None, attempt: int, held: bool) -> None:
    assert has_lease(RunRow(id="r", status=status, worker=worker, attempt=attempt), Lease("r", "w", 2)) is held


def test_a_worker_that_takes_its_run_up_again_has_lost_the_attempt_before(store: Store) -> None:
    run = store.create(PAINT, queue="default")
    first = claimed(Queue(store, lease=EXPIRED))
    queue = Queue(store)
    second = claimed(queue)
    assert (first.worker, first.attempt) == (second.worker, 1) and second.attempt == 2
    for write in (
        lambda: queue.finish(first, Status.DONE),
        lambda: queue.release(first),
        lambda: store.add_event(run.id, Notice(text="late"), first),
        lambda: store.add_artifact(run.id, "picture", "/a.png", "0" * 64, lease=first),
        lambda: store.discard_artifacts(first),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert (store.events(run.id), store.artifacts(run.id), store.get(run.id).status) == ([], [], Status.RUNNING)
    assert queue.renew([(second, None), (first, None)]) == [False, None]


def test_a_lease_is_of_thirty_seconds_from_each_sign_of_life(store: Store) -> None:
    run, queue = store.create(PAINT, queue="default"), Queue(store)
    hold = None
    for _ in range(2):
        before = datetime.now(UTC)
        if hold is None:
            hold = claimed(queue)
        else:
            queue.renew([(hold, None)])
        with store.session() as session:
            lease = session.get_one(RunRow, run.id).lease
        assert lease is not None and timedelta(0) <= lease - before - timedelta(seconds=30) < timedelta(seconds=10)
        assert hold.seconds == 30.0 and queue.claim("another") == []


def test_a_run_costs_three_workers_and_no_more(store: Store) -> None:
    run, queue = store.create(PAINT, queue="default"), Queue(store, lease=EXPIRED)
    assert [claimed(queue, f"w{number}").attempt for number in range(3)] == [1, 2, 3]
    assert queue.claim("w4") == []
    failed = store.get(run.id)
    assert failed.status is Status.FAILED and "3 workers died" in (failed.error or "")


def test_a_run_is_withdrawn_only_while_it_waits(store: Store) -> None:
    queue = Queue(store)
    waiting, running = store.create(PAINT, queue="default"), store.create(PAINT, queue="default", priority=1)
    hold = claimed(queue)
    assert hold.run == running.id
    assert queue.withdraw(running.id).status is Status.RUNNING and queue.renew([(hold, None)]) == [False]
    assert queue.withdraw(waiting.id).status is Status.CANCELLED and queue.claim("w") == []


def test_a_run_that_is_tried_again_is_not_cancelled_any_more(store: Store) -> None:
    run, queue = store.create(PAINT, queue="default"), Queue(store)
    hold = claimed(queue)
    queue.cancel(run.id)
    queue.release(hold)
    assert queue.retry(run.id).attempt == 0
    again = claimed(queue)
    assert again.attempt == 1 and queue.renew([(again, None)]) == [False]
