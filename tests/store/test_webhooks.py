"""Tests of webhooks and their deliveries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.store.queue import Queue
from limner.store.runs import Store
from limner.store.tables import DeliveryRow, RunRow
from limner.store.webhook_deliveries import MAX_WEBHOOKS, RETRY_DELAYS, Webhooks

PAINT = GenerateRequest(prompt="a dog")


def due_now(store: Store) -> None:
    """Let the time pass until the next try."""
    with store.session() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(update(DeliveryRow).where(DeliveryRow.due.is_not(None)).values(due=past))


def test_the_end_of_a_run_is_delivered_to_its_owners_webhooks(store: Store) -> None:
    hooks, queue = Webhooks(store), Queue(store, lease=timedelta(0), attempts=1)
    all_of_ann, _ = hooks.add("ann", "https://a.example/", ("run.done", "run.failed", "run.cancelled"))
    done_of_ann, _ = hooks.add("ann", "https://b.example/", ("run.done",))
    of_bob, _ = hooks.add("bob", "https://c.example/", ("run.done", "run.failed", "run.cancelled"))
    ann = Caller(account="ann")
    runs = [store.create(PAINT, queue="default", caller=ann) for _ in range(4)]
    ends = {}
    for status in (Status.DONE, Status.FAILED):
        ((run, lease),) = queue.claim("w")
        assert run.id not in {delivery.run for delivery in hooks.deliveries(all_of_ann.id, "ann")}, "it goes on"
        queue.finish(lease, status)
        ends[run.id] = f"run.{status}"
    waiting = [run.id for run in runs if run.id not in ends]
    queue.cancel(waiting[0])
    ends[waiting[0]] = "run.cancelled"
    assert queue.claim("w") != [], "the last one is given to a worker that dies"
    assert queue.claim("w") == []
    ends[waiting[1]] = "run.failed"
    assert {delivery.run: delivery.event for delivery in hooks.deliveries(all_of_ann.id, "ann")} == ends
    assert [delivery.event for delivery in hooks.deliveries(done_of_ann.id, "ann")] == ["run.done"]
    assert hooks.deliveries(of_bob.id, "bob") == []


def test_the_end_of_a_run_is_delivered_once(store: Store) -> None:
    hooks, queue = Webhooks(store), Queue(store)
    hook, _ = hooks.add("", "https://a.example/", ("run.cancelled",))
    run = store.create(PAINT, queue="default").id
    for act in (queue.cancel, queue.cancel, queue.withdraw):
        act(run)
    assert len(hooks.deliveries(hook.id, "")) == 1


def test_the_failure_of_an_unreadable_run_is_delivered(store: Store) -> None:
    hooks, queue = Webhooks(store), Queue(store)
    hook, _ = hooks.add("", "https://a.example/", ("run.failed",))
    run = store.create(PAINT, queue="default").id
    with store.session() as session:
        session.execute(update(RunRow).values(request={"kind": "generate", "brush": "wide"}))
    assert queue.claim("w") == []
    assert [delivery.run for delivery in hooks.deliveries(hook.id, "")] == [run]


def test_retry_delays_match_the_documentation() -> None:
    seconds, minutes, hours = (5,), (1, 5, 30), (2, 5, 10)
    wanted = [*seconds, *(60 * each for each in minutes), *(3600 * each for each in hours)]
    assert [pause.total_seconds() for pause in RETRY_DELAYS] == wanted


def test_a_delivery_is_retried_until_it_arrives_or_is_given_up(store: Store) -> None:
    hooks, queue = Webhooks(store), Queue(store)
    hook, secret = hooks.add("", "https://a.example/", ("run.cancelled",))
    queue.cancel(store.create(PAINT, queue="default").id)
    for attempt in range(1, len(RETRY_DELAYS) + 2):
        found = hooks.claim()
        assert found is not None
        delivery, url, its = found
        assert (delivery.attempts, url, its) == (attempt, "https://a.example/", secret)
        assert hooks.claim() is None, "it is being delivered"
        hooks.settle(delivery.id, attempt, "it answered 500")
        assert hooks.claim() is None, "not before its pause is over"
        due_now(store)
    (delivery,) = hooks.deliveries(hook.id, None)
    assert (delivery.due, delivery.delivered, delivery.error) == (None, None, "it answered 500")


def test_the_delivery_that_is_due_longest_is_sent_first(store: Store) -> None:
    hooks, queue = Webhooks(store), Queue(store)
    hook, _ = hooks.add("", "https://a.example/", ("run.cancelled",))
    runs = [store.create(PAINT, queue="default").id for _ in range(3)]
    for run in runs:
        queue.cancel(run)
    assert [delivery.run for delivery in hooks.deliveries(hook.id, None)] == runs[::-1], "listed newest first"
    assert [delivery.run for delivery in hooks.deliveries(hook.id, None, limit=2)] == runs[:0:-1]
    now = datetime.now(UTC)
    with store.session() as session:
        for run, minutes in zip(runs, (1, 3, 2), strict=True):
            due = now - timedelta(minutes=minutes)
            session.execute(update(DeliveryRow).where(DeliveryRow.run == run).values(due=due))
    claimed = [hooks.claim() for _ in range(3)]
    assert [found[0].run for found in claimed if found is not None] == [runs[1], runs[2], runs[0]]


def test_webhooks_are_listed_oldest_first(store: Store) -> None:
    hooks = Webhooks(store)
    urls = [f"https://{name}.example/" for name in "bca"]
    for url in urls:
        hooks.add("ann", url, ("run.done",))
    assert [hook.url for hook in hooks.list("ann")] == urls


def test_a_late_attempt_is_ignored(store: Store) -> None:
    hooks, queue = Webhooks(store), Queue(store)
    hook, _ = hooks.add("", "https://a.example/", ("run.cancelled",))
    queue.cancel(store.create(PAINT, queue="default").id)
    first, second = hooks.claim(), due_now(store) or hooks.claim()
    assert first is not None and second is not None and second[0].attempts == 2
    hooks.settle(first[0].id, 1, "took too long")
    (delivery,) = hooks.deliveries(hook.id, None)
    assert delivery == second[0], "the second try goes on"
    hooks.settle(second[0].id, 2)
    for attempt in (1, 2):
        hooks.settle(first[0].id, attempt, "took too long")
    (delivery,) = hooks.deliveries(hook.id, None)
    assert delivery.delivered is not None and delivery.error is None and delivery.due is None


def test_webhooks_belong_to_an_account(store: Store) -> None:
    hooks = Webhooks(store)
    hook, _ = hooks.add("ann", "https://a.example/", ("run.done",))
    assert hooks.list("bob") == [] and hooks.list("ann") == hooks.list(None) == [hook]
    for act in (lambda: hooks.remove(hook.id, "bob"), lambda: hooks.deliveries(hook.id, "bob")):
        with pytest.raises(LimnerError, match="unknown webhook"):
            act()
    assert MAX_WEBHOOKS == 20
    for _ in range(MAX_WEBHOOKS - 1):
        hooks.add("ann", "https://a.example/", ("run.done",))
    with pytest.raises(LimnerError, match=f"there are {MAX_WEBHOOKS} webhooks already"):
        hooks.add("ann", "https://a.example/", ("run.done",))
    hooks.remove(hook.id, "ann")
    assert hook not in hooks.list(None)
