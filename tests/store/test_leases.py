"""Tests of leases: one attempt of one worker, for as long as it is renewed."""

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
def test_a_lease_is_valid_for_one_worker_and_attempt(
    status: Status, worker: str | None, attempt: int, held: bool
) -> None:
    assert has_lease(RunRow(id="r", status=status, worker=worker, attempt=attempt), Lease("r", "w", 2)) is held


def test_a_second_claim_by_the_same_worker_ends_the_first_lease(store: Store) -> None:
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


def test_a_renewed_lease_lasts_30_seconds(store: Store) -> None:
    run, queue = store.create(PAINT, queue="default"), Queue(store)
    lease = None
    for _ in range(2):
        before = datetime.now(UTC)
        if lease is None:
            lease = claimed(queue)
        else:
            queue.renew([(lease, None)])
        with store.session() as session:
            until = session.get_one(RunRow, run.id).lease
        assert until is not None and timedelta(0) <= until - before - timedelta(seconds=30) < timedelta(seconds=10)
        assert lease.seconds == 30.0 and queue.claim("another") == []


def test_a_run_fails_after_three_dead_workers(store: Store) -> None:
    run, queue = store.create(PAINT, queue="default"), Queue(store, lease=EXPIRED)
    assert [claimed(queue, f"w{number}").attempt for number in range(3)] == [1, 2, 3]
    assert queue.claim("w4") == []
    failed = store.get(run.id)
    assert failed.status is Status.FAILED and "3 workers died" in (failed.error or "")


def test_only_a_queued_run_is_withdrawn(store: Store) -> None:
    queue = Queue(store)
    waiting, running = store.create(PAINT, queue="default"), store.create(PAINT, queue="default", priority=1)
    lease = claimed(queue)
    assert lease.run == running.id
    assert queue.withdraw(running.id).status is Status.RUNNING and queue.renew([(lease, None)]) == [False]
    assert queue.withdraw(waiting.id).status is Status.CANCELLED and queue.claim("w") == []


def test_a_retried_run_is_not_cancelled(store: Store) -> None:
    run, queue = store.create(PAINT, queue="default"), Queue(store)
    lease = claimed(queue)
    queue.cancel(run.id)
    queue.release(lease)
    assert queue.retry(run.id).attempt == 0
    again = claimed(queue)
    assert again.attempt == 1 and queue.renew([(again, None)]) == [False]
