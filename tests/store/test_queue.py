"""Tests of the queue: claims, leases, cancellation and retries."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, update

from limner.core.errors import LimnerError
from limner.core.events import Notice, Progress, Restarted
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.store.queue import Queue, queue_stats
from limner.store.runs import Lease, LeaseLost, Store, UnreadableRun
from limner.store.tables import RunRow
from limner.store.webhook_deliveries import Webhooks

PAINT = GenerateRequest(prompt="a dog")
EXPIRED = timedelta(seconds=-1)


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store)


def wait(store: Store, **fields: int) -> str:
    return store.create(PAINT, queue="default", **fields).id


def taken(queue: Queue, worker: str = "w") -> Lease:
    ((_, lease),) = queue.claim(worker)
    return lease


def test_runs_are_claimed_once_by_priority_and_age(store: Store, queue: Queue) -> None:
    ids = [wait(store, priority=priority) for priority in (0, 5, 0)]
    claimed = [queue.claim("w") for _ in range(4)]
    assert [[run.id for run, _ in found] for found in claimed] == [[ids[1]], [ids[0]], [ids[2]], []]
    ((run, lease),) = claimed[0]
    assert (run.status, run.attempt, lease) == (Status.RUNNING, 1, Lease(run.id, "w", 1))


def test_runs_of_the_command_line_and_other_queues_are_not_claimed(store: Store, queue: Queue) -> None:
    store.create(PAINT)
    store.create(PAINT, queue="other")
    assert queue.claim("w") == []
    assert Queue(store, "other").claim("w") != []


def test_a_finished_run_stays_finished(store: Store, queue: Queue) -> None:
    lease = taken(queue) if wait(store) else None
    assert lease is not None
    run = queue.finish(lease, Status.FAILED, "no memory")
    assert (run.status, run.error) == (Status.FAILED, "no memory") and run.finished is not None
    with pytest.raises(LeaseLost):
        queue.finish(lease, Status.DONE)
    assert queue.renew([(lease, None)]) == [None]
    assert queue.claim("w") == []


def test_a_run_with_an_expired_lease_is_claimed_by_another_worker(store: Store) -> None:
    run_id = wait(store)
    dead = taken(Queue(store, lease=EXPIRED), "dead")
    began, queue = store.get(run_id).started, Queue(store)
    alive = taken(queue, "alive")
    assert (alive.run, alive.attempt) == (run_id, 2)
    assert began is not None and store.get(run_id).started == began, "it began with the first"
    for write in (
        lambda: queue.finish(dead, Status.DONE),
        lambda: queue.release(dead),
        lambda: store.add_event(run_id, Notice(text="late"), dead),
        lambda: store.add_artifact(run_id, "picture", "/a.png", "0" * 64, lease=dead),
        lambda: store.discard_artifacts(dead),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert queue.renew([(dead, None)]) == [None]
    assert store.events(run_id) == [] and store.artifacts(run_id) == []
    store.add_event(run_id, Notice(text="in time"), alive)
    assert queue.finish(alive, Status.DONE).status is Status.DONE


def test_a_renewal_keeps_the_run_and_records_its_progress(store: Store) -> None:
    run_id = wait(store)
    lease = taken(Queue(store, lease=EXPIRED))
    assert Queue(store).renew([(lease, Progress(done=3, total=9, figures={"loss": 0.5}))]) == [False]
    assert Queue(store).claim("other") == []
    assert store.get(run_id).progress == Progress(done=3, total=9, figures={"loss": 0.5})
    assert Queue(store).renew([(lease, None)]) == [False] and store.get(run_id).progress is None


def test_a_new_attempt_begins_without_the_progress_of_the_last(store: Store) -> None:
    run_id, queue = wait(store), Queue(store, lease=timedelta(0))
    queue.renew([(taken(queue), Progress(done=3))])
    assert taken(queue).attempt == 2 and store.get(run_id).progress is None


def test_a_lease_lasts_as_long_as_the_queue_says(store: Store) -> None:
    wait(store)
    before = datetime.now(UTC)
    lease = taken(Queue(store, lease=timedelta(seconds=7)))
    with store.session() as session:
        until = session.get_one(RunRow, lease.run).lease
    assert lease.seconds == 7.0 and until is not None and 7 <= (until - before).total_seconds() < 17


def test_a_run_fails_after_the_last_attempt(store: Store) -> None:
    run_id = wait(store)
    queue = Queue(store, lease=EXPIRED, attempts=2)
    assert [taken(queue).attempt for _ in range(2)] == [1, 2]
    assert queue.claim("w") == []
    run = store.get(run_id)
    assert (run.status, run.error) == (
        Status.FAILED,
        "an internal error of Limner: 2 workers died while they executed it",
    )
    assert run.internal_error and run.finished is not None
    assert not queue.retry(run_id).internal_error


def test_a_queue_ends_no_run_of_another_queue(store: Store) -> None:
    other = store.create(PAINT, queue="other").id
    taken(Queue(store, "other", lease=EXPIRED))
    assert Queue(store, attempts=1).claim("w") == [] and store.get(other).status is Status.RUNNING
    assert Queue(store, "other", attempts=1).claim("w") == [] and store.get(other).status is Status.FAILED


def test_queue_stats(store: Store, queue: Queue) -> None:
    for _ in range(3):
        wait(store)
    store.create(PAINT)  # of the command line
    for worker in ("w", "w", "v"):
        taken(queue, worker)
    state = queue_stats(store)
    assert (state.workers, state.oldest, state.runs) == (2, 0.0, {("generate", "running"): 3})
    waiting = wait(store)
    changed(store, waiting, created=datetime.now(UTC) - timedelta(minutes=2))
    assert 119 < queue_stats(store).oldest < 180


def test_queue_stats_are_of_the_queues_only(store: Store, queue: Queue) -> None:
    now = datetime.now(UTC)
    for minutes in (5, 2):
        changed(store, wait(store), created=now - timedelta(minutes=minutes))
    done = wait(store, priority=1)
    mine = store.create(PAINT).id
    changed(store, mine, created=now - timedelta(days=1))
    Webhooks(store).add("", "https://example.com/", ("run.done",))
    lease = taken(queue)
    assert lease.run == done and queue_stats(store).workers == 1
    for run, name in ((done, "a"), (done, "b"), (mine, "c")):
        store.add_artifact(run, "picture", f"/{name}.png", "0" * 64)
    assert queue_stats(store).deliveries == 0
    queue.finish(lease, Status.DONE)
    state = queue_stats(store)
    assert (state.workers, state.artifacts, state.deliveries) == (0, 2, 1)
    assert 299 < state.oldest < 360, "the older one of those that wait"
    delivery = Webhooks(store).claim()
    assert delivery is not None
    Webhooks(store).settle(delivery[0].id, 1)
    assert queue_stats(store).deliveries == 0


def test_a_run_of_a_faster_clock_has_not_waited(store: Store) -> None:
    changed(store, wait(store), created=datetime.now(UTC) + timedelta(minutes=2))
    assert queue_stats(store).oldest == 0.0


def test_a_released_run_is_queued_again(store: Store, queue: Queue) -> None:
    run_id = wait(store)
    released = queue.release(taken(queue))
    assert (released.id, released.status, released.attempt) == (run_id, Status.QUEUED, 0)
    assert taken(queue).attempt == 1


def test_a_cancelled_run_ends_when_it_is_released(store: Store, queue: Queue) -> None:
    run_id = wait(store)
    lease = taken(queue)
    queue.cancel(run_id)
    released = queue.release(lease)
    assert (released.status, released.progress) == (Status.CANCELLED, None) and released.finished is not None


def test_runs_of_the_command_line_cannot_be_cancelled(store: Store, queue: Queue) -> None:
    run = store.create(PAINT)
    store.update(run.id, status=Status.FAILED)
    for act in (queue.cancel, queue.retry):
        with pytest.raises(LimnerError, match="is not in the queue"):
            act(run.id)
    assert store.list(9, queue="default") == []


def test_runs_of_another_queue_are_not_changed_or_listed(store: Store, queue: Queue) -> None:
    mine, other = wait(store), store.create(PAINT, queue="other").id
    for act in (queue.cancel, queue.withdraw, queue.retry):
        with pytest.raises(LimnerError, match=f"run {other} is not in the queue"):
            act(other)
    assert store.get(other).status is Status.QUEUED
    assert [run.id for run in store.list(9, queue="default")] == [mine]


def test_cancelling(store: Store, queue: Queue) -> None:
    waiting, running = wait(store), wait(store, priority=1)
    lease = taken(queue)
    assert queue.cancel(waiting).status is Status.CANCELLED
    assert queue.cancel(running).status is Status.RUNNING
    assert queue.renew([(lease, None)]) == [True]
    assert queue.finish(lease, Status.CANCELLED).status is Status.CANCELLED
    assert queue.claim("w") == []
    assert queue.cancel(running).status is Status.CANCELLED, "what has ended stays as it is"


def test_a_cancelled_run_of_a_dead_worker_is_not_claimed(store: Store) -> None:
    run_id = wait(store)
    queue = Queue(store, lease=EXPIRED)
    taken(queue)
    queue.cancel(run_id)
    assert queue.claim("w") == [] and store.get(run_id).status is Status.CANCELLED
    assert not store.get(run_id).internal_error


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.INTERRUPTED])
def test_failed_cancelled_and_interrupted_runs_can_be_retried(store: Store, queue: Queue, status: Status) -> None:
    run_id = wait(store)
    queue.finish(taken(queue), status, "why")
    again = queue.retry(run_id)
    assert (again.status, again.error, again.finished, again.attempt) == (Status.QUEUED, None, None, 0)
    assert taken(queue).run == run_id
    with pytest.raises(LimnerError, match="is running; only failed, interrupted and cancelled"):
        queue.retry(run_id)


def test_a_run_that_is_done_cannot_be_retried(store: Store, queue: Queue) -> None:
    run_id = wait(store)
    queue.finish(taken(queue), Status.DONE)
    with pytest.raises(LimnerError, match="is done; only failed, interrupted and cancelled"):
        queue.retry(run_id)
    assert store.get(run_id).status is Status.DONE


def test_several_workers_claim_each_run_once(store: Store, tmp_path: Path, database: str | None) -> None:
    ids = [wait(store) for _ in range(40)]
    done: list[str] = []

    def work(name: str) -> None:
        own = Store(tmp_path, database)
        queue = Queue(own)
        while found := queue.claim(name):
            ((run, lease),) = found
            queue.finish(lease, Status.DONE)
            done.append(run.id)
        own.close()

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(done) == Counter(ids)


def changed(store: Store, run_id: str, **values: object) -> None:
    """Write into a row as a newer version, or a fault, might."""
    with store.writing() as session:
        session.execute(update(RunRow).where(RunRow.id == run_id).values(**values))


def test_an_unreadable_run_fails_and_the_next_is_claimed(store: Store, queue: Queue) -> None:
    newer, good = wait(store, priority=1), wait(store)
    changed(store, newer, request=PAINT.model_dump(mode="json") | {"brush": "wide"})
    assert [run.id for run in store.list(9)] == [good] and [run.id for run in store.unfinished(PAINT.digest)] == [good]
    assert taken(queue).run == good
    with pytest.raises(UnreadableRun, match=f"run {newer} cannot be read .generate.brush"):
        store.get(newer)
    assert queue.claim("w") == []
    changed(store, newer, request=PAINT.model_dump(mode="json"))
    failed = store.get(newer)
    assert failed.status is Status.FAILED and failed.error is not None and "update limner" in failed.error


def test_damaged_progress_is_none(store: Store, queue: Queue) -> None:
    run_id = wait(store)
    lease = taken(queue)
    changed(store, run_id, progress={"kind": "progress", "done": "far"})
    assert store.get(run_id).progress is None
    assert queue.renew([(lease, Progress(done=1))]) == [False] and store.get(run_id).progress == Progress(done=1)


def test_invalid_json_in_a_row_hides_no_other_row(tmp_path: Path) -> None:
    store = Store(tmp_path)
    broken, good = wait(store, priority=1), wait(store)
    with store.writing() as session:
        session.connection().exec_driver_sql("UPDATE runs SET request = '{\"ki' WHERE id = ?", (broken,))
    assert [run.id for run in store.list(9)] == [good] and taken(Queue(store)).run == good
    store.close()


def test_discarded_artifacts_are_an_event(store: Store) -> None:
    run_id = wait(store)
    queue = Queue(store, lease=EXPIRED)
    first = taken(queue)
    store.discard_artifacts(first)
    assert store.events(run_id) == [], "nothing came before"
    for what, sha256 in (("preview", "1" * 64), ("picture", "2" * 64)):
        store.add_artifact(run_id, what, f"/{what}.png", sha256, lease=first)
    second = taken(queue)
    store.discard_artifacts(second, keep=("preview",))
    ((number, _, restarted),) = store.events(run_id)
    assert (number, restarted) == (1, Restarted(attempt=2, gone=("2" * 64,)))
    assert [made.kind for made in store.artifacts(run_id)] == ["preview"]
    store.discard_artifacts(taken(queue), keep=("preview",))
    assert store.events(run_id)[-1][2] == Restarted(attempt=3)


def test_artifacts_of_several_runs_are_listed_newest_first(store: Store) -> None:
    ids = [wait(store) for _ in range(2)]
    for path in ("/1.png", "/2.png"):
        for run_id in ids:
            store.add_artifact(run_id, "picture", path, "0" * 64)
    made = store.artifacts_of(ids)
    assert [[artifact.path for artifact in made[run_id]] for run_id in ids] == [["/2.png", "/1.png"]] * 2


def test_artifacts_of_several_runs_are_one_query(store: Store) -> None:
    ids = [wait(store) for _ in range(3)]
    for run_id in ids[:2]:
        store.add_artifact(run_id, "picture", "/a.png", "0" * 64)
    asked: list[str] = []
    event.listen(store._engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    made = store.artifacts_of(ids)
    assert [len(made[run_id]) for run_id in ids] == [1, 1, 0]
    assert len([text for text in asked if text.startswith("SELECT")]) == 1


def test_a_batch_is_claimed(store: Store, queue: Queue) -> None:
    def ask(priority: int = 0, **fields: object) -> str:
        return store.create(PAINT.model_copy(update=fields), queue="default", priority=priority).id

    first = ask(prompt="a cat", seed=1, batch=8)
    ask(steps=7)
    second, large, third = ask(prompt="a bird", seed=2, count=2), ask(count=6), ask(prompt="a fox")
    ask(negative_prompt="blurry")
    ask(image="sha256:" + "0" * 64)
    store.create(PAINT)
    store.create(PAINT, queue="other")
    taken = queue.claim("w", 8)
    assert [run.id for run, _ in taken] == [first, second, third], "what does not fit waits"
    assert [lease for _, lease in taken] == [Lease(run.id, "w", 1) for run, _ in taken]
    assert len(queue.claim("w", 8)) == 1 and store.get(large).status is Status.QUEUED
    assert [run.id for run, _ in queue.claim("w", 8)] == [large]
    assert [len(queue.claim("w", 8)) for _ in range(3)] == [1, 1, 0]


def test_the_size_of_a_batch(store: Store, queue: Queue) -> None:
    for _ in range(6):
        wait(store)
    assert [len(queue.claim("w", most)) for most in (1, 2, 9)] == [1, 2, 3]
    for _ in range(3):
        store.create(PAINT.model_copy(update={"batch": 2}), queue="default")
    assert [len(queue.claim("w", 9)) for _ in range(2)] == [2, 1]


def test_the_images_of_the_first_run_count_in_a_batch(store: Store, queue: Queue) -> None:
    first = store.create(PAINT.model_copy(update={"count": 3}), queue="default").id
    others = [wait(store) for _ in range(2)]
    assert [[run.id for run, _ in queue.claim("w", 4)] for _ in range(2)] == [[first, others[0]], [others[1]]]


def test_a_run_that_a_worker_died_of_is_claimed_alone(store: Store) -> None:
    ids = [wait(store) for _ in range(3)]
    dead = Queue(store, lease=EXPIRED).claim("dead", 8)
    assert len(dead) == 3
    ids.append(wait(store))
    taken = [Queue(store).claim("w", 8) for _ in range(4)]
    assert [[run.id for run, _ in each] for each in taken] == [[run_id] for run_id in ids]


def test_a_run_that_a_worker_died_of_joins_no_batch(store: Store, queue: Queue) -> None:
    costly = wait(store)
    taken(Queue(store, lease=EXPIRED))
    assert queue.release(taken(queue)).attempt == 1
    ids = [wait(store, priority=1) for _ in range(2)]
    assert [run.id for run, _ in queue.claim("w", 8)] == ids
    assert [run.id for run, _ in queue.claim("w", 8)] == [costly]


def test_a_damaged_run_joins_no_batch(store: Store, queue: Queue) -> None:
    ids = [wait(store) for _ in range(4)]
    changed(store, ids[1], request={"kind": "generate", "count": "many"})
    changed(store, ids[2], request=[])
    assert [run.id for run, _ in queue.claim("w", 8)] == [ids[0], ids[3]]


def test_several_leases_are_renewed(store: Store, queue: Queue) -> None:
    for _ in range(3):
        wait(store)
    leases = [lease for _, lease in queue.claim("w", 8)]
    queue.cancel(leases[0].run)
    queue.finish(leases[1], Status.DONE)
    assert queue.renew([(lease, Progress(done=1)) for lease in leases]) == [True, None, False]
    assert store.get(leases[2].run).progress == Progress(done=1)
    assert queue.renew([]) == []
