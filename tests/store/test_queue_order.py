"""Places of waiting runs: shown, changed by their owners, and right after a worker died."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from limner.core.accounts import Caller, Role
from limner.core.kinds import QUICK
from limner.core.requests import GenerateRequest, PrepareRequest, SweepRequest
from limner.core.runs import Status
from limner.store.queue import Queue, QueueState, WrongStatus
from limner.store.runs import LeaseLost, Store
from limner.store.tables import RunRow

CHECK = PrepareRequest(sources=("photos",))
PAINT = GenerateRequest(prompt="a dog")


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store)


def wait(store: Store, owner: str = "", **fields: int) -> str:
    return store.create(PAINT, queue="default", caller=Caller(account=owner, role=Role.MAKER), **fields).id


def order(queue: Queue, owner: str | None = None) -> list[str]:
    return [run.id for run in queue.waiting(100, owner=owner)]


def claimed(queue: Queue) -> list[str]:
    found: list[str] = []
    while taken := queue.claim("w"):
        found += [run.id for run, _ in taken]
    return found


def die(store: Store, run_id: str) -> None:
    """Let the lease of a run expire, as after `kill -9` of its worker."""
    with store.writing() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(update(RunRow).where(RunRow.id == run_id).values(lease=past))


def test_a_worker_of_some_kinds_leaves_the_others(store: Store, queue: Queue) -> None:
    training, check = wait(store), store.create(CHECK, queue="default", caller=Caller(account="", role=Role.MAKER)).id
    assert [run.id for run, _ in queue.claim("w", kinds=QUICK)] == [check]
    assert queue.claim("w", kinds=QUICK) == []
    die(store, training)
    assert queue.claim("w", kinds=QUICK) == [], "also one whose worker died"
    assert [run.id for run, _ in queue.claim("w")] == [training]


def test_positions_are_those_in_which_workers_claim(store: Store, queue: Queue) -> None:
    ids = [wait(store, priority=priority) for priority in (0, 5, 0)]
    ours = store.create(PAINT).id
    positions = {run: state.position for run, state in queue.states([*ids, ours]).items()}
    assert positions == {ids[0]: 2, ids[1]: 1, ids[2]: 3} and order(queue) == [ids[1], ids[0], ids[2]]
    assert claimed(queue) == [ids[1], ids[0], ids[2]]
    assert queue.states(ids) == dict.fromkeys(ids, QueueState())


def test_a_run_that_moved_is_claimed_in_its_new_place(store: Store, queue: Queue) -> None:
    a, b, c = (wait(store) for _ in range(3))
    assert queue.move(c, up=True) and order(queue) == [a, c, b]
    assert queue.move(a, up=False) and order(queue) == [c, a, b]
    assert not queue.move(c, up=True) and not queue.move(b, up=False)
    late = wait(store)
    assert claimed(queue) == [c, a, b, late]


def test_a_run_moves_past_one_of_a_higher_priority(store: Store, queue: Queue) -> None:
    low, high = wait(store), wait(store, priority=3)
    assert queue.move(low, up=True) and claimed(queue) == [low, high]


def test_runs_of_the_same_moment_change_places_too(store: Store, queue: Queue) -> None:
    a, b, c = sorted(wait(store) for _ in range(3))
    with store.writing() as session:
        session.execute(update(RunRow).values(created=datetime(2026, 1, 1, tzinfo=UTC)))
    assert order(queue) == [a, b, c] and queue.move(c, up=True)
    found = order(queue)
    assert found.index(c) < found.index(b)


def test_an_account_changes_only_its_own_places(store: Store, queue: Queue) -> None:
    ann, bob, anns = wait(store, "ann"), wait(store, "bob"), wait(store, "ann")
    assert queue.move(anns, up=True, owner="ann")
    assert order(queue) == [anns, bob, ann] and order(queue, "ann") == [anns, ann]
    with pytest.raises(WrongStatus):
        queue.move(bob, up=True, owner="ann")
    assert order(queue) == [anns, bob, ann]


def test_a_run_that_does_not_wait_cannot_move(store: Store, queue: Queue) -> None:
    run = wait(store)
    queue.claim("w")
    with pytest.raises(WrongStatus, match="does not wait any more"):
        queue.move(run, up=True)


def test_waiting_runs_of_a_kind(store: Store, queue: Queue) -> None:
    wait(store)
    request = SweepRequest(prompt=("a cat",), axis=("steps=1,2",))
    sweep = store.create(request, queue="default").id
    assert [run.id for run in queue.waiting(9, "sweep")] == [sweep] and len(queue.waiting(1)) == 1


def test_a_run_whose_worker_died_waits_again(store: Store, queue: Queue) -> None:
    first, second = wait(store), wait(store)
    queue.claim("w")
    assert queue.states([first])[first] == QueueState()
    die(store, first)
    assert queue.states([first, second]) == {first: QueueState(1, lost=True), second: QueueState(2)}


def test_a_cancelled_run_is_stopping_until_its_step_ends(store: Store, queue: Queue) -> None:
    run = wait(store)
    queue.claim("w")
    assert queue.cancel(run).status is Status.RUNNING
    assert queue.states([run])[run] == QueueState(stopping=True)


def test_a_run_whose_worker_died_is_cancelled_at_once(store: Store, queue: Queue) -> None:
    run = wait(store)
    ((_, lease),) = queue.claim("w")
    die(store, run)
    ended = queue.cancel(run)
    assert ended.status is Status.CANCELLED and ended.finished is not None
    with pytest.raises(LeaseLost):
        queue.finish(lease, Status.DONE)


def test_tags_can_be_set_and_removed(store: Store) -> None:
    run = store.create(PAINT, tags={"industry": "food"})
    assert store.tag(run.id, "name", "Comet").tags == {"industry": "food", "name": "Comet"}
    assert store.get(run.id).tags["name"] == "Comet"
    assert store.tag(run.id, "name", "").tags == {"industry": "food"}
