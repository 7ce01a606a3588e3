"""Tests of lifetimes, delays and ages, on both sides of each limit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from limner.core.accounts import Caller, Limits
from limner.core.errors import LimnerError, QuotaExceeded
from limner.core.feedback import ImageQuery
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.store.accounts import Accounts
from limner.store.files import remove_stale_temporaries
from limner.store.idempotency import IdempotencyRecords, StoredResponse
from limner.store.images import ImageIndex, Viewer
from limner.store.queue import Queue
from limner.store.runs import Store
from limner.store.tables import DeliveryRow, IdempotencyRow, QuotaRow, RunRow
from limner.store.webhook_deliveries import Webhooks
from limner.studio.studio import Studio

PAINT = GenerateRequest(prompt="a dog")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path / "home")
    yield found
    found.close()


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    found = Studio(home)
    yield found
    found.store.close()


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


def set_all(store: Store, row: Any, **values: object) -> None:
    with store.session() as session:
        session.execute(update(row).values(**values))


def test_lifetime_of_a_key(store: Store) -> None:
    key, _ = Accounts(store).add_key("ann", days=30)
    assert key.expires == key.created + timedelta(days=30)
    assert Accounts(store).add_key("ann")[0].expires is None
    assert Accounts(store).add_key("ann", days=36_500)[0].expires is not None
    with pytest.raises(LimnerError, match="cannot be valid for 36501 days"):
        Accounts(store).add_key("ann", days=36_501)


def test_images_count_for_24_hours(store: Store) -> None:
    who = Caller(account="ann", key="0" * 12, limits=Limits(pictures_per_day=2))
    store.create(GenerateRequest(prompt="a", count=2), caller=who)
    set_all(store, QuotaRow, created=ago(hours=23, minutes=59))
    with pytest.raises(QuotaExceeded):
        store.create(PAINT, caller=who)
    store.create(GenerateRequest(prompt="a", count=2), caller=who.model_copy(update={"key": "1" * 12}))
    set_all(store, QuotaRow, created=ago(hours=24, minutes=1))
    store.create(GenerateRequest(prompt="a", count=2), caller=who)


def test_a_response_is_stored_for_a_day(store: Store) -> None:
    answers, answer = IdempotencyRecords(store, timedelta(minutes=1)), StoredResponse(201, {}, b"x")
    answers.begin("ann", "k", "d" * 64)
    answers.save("ann", "k", answer)
    set_all(store, IdempotencyRow, began=ago(hours=23, minutes=59))
    assert answers.begin("ann", "k", "d" * 64) == answer
    set_all(store, IdempotencyRow, began=ago(hours=24, minutes=1))
    assert answers.begin("ann", "k", "e" * 64) is None


def test_deliveries_are_retried_after_growing_delays(store: Store) -> None:
    hooks, queue = Webhooks(store), Queue(store)
    hook, _ = hooks.add("", "https://a.example/", ("run.cancelled",))
    queue.cancel(store.create(PAINT, queue="default").id)
    pauses = [5, 60, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600]
    for attempt, pause in enumerate(pauses, 1):
        set_all(store, DeliveryRow, due=ago(seconds=1))
        found, before = hooks.claim(), datetime.now(UTC)
        assert found is not None and found[0].attempts == attempt
        assert found[0].due is not None and abs(found[0].due - before - timedelta(minutes=2)) < timedelta(seconds=3)
        hooks.settle(found[0].id, attempt, "it answered 500")
        (delivery,) = hooks.deliveries(hook.id, None)
        assert delivery.due is not None and abs(delivery.due - before - timedelta(seconds=pause)) < timedelta(seconds=3)


def test_orphans_are_removed_after_a_day(studio: Studio, tmp_path: Path) -> None:
    studio.maintenance.check_files()
    stored = {}
    for name, hours in (("young", 23.9), ("old", 24.1)):
        (tmp_path / name).write_text(name)
        stored[name] = studio.files.put(tmp_path / name)
        moment = time.time() - hours * 3600
        os.utime(studio.files.path(stored[name]), (moment, moment))
    assert studio.maintenance.prune(None).orphans == 1
    assert [blob.sha256 for blob in studio.files] == [stored["young"]]


def test_temporary_files_are_removed_after_a_day(tmp_path: Path) -> None:
    for name, hours in ((".limner-0123456789ab.png", 23.9), (".limner-ba9876543210.png", 24.1)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - hours * 3600,) * 2)
    remove_stale_temporaries(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".limner-0123456789ab.png"]


def test_runs_are_pruned_by_the_time_they_ended(studio: Studio) -> None:
    cases = [
        (31, 31, Status.DONE, True),
        (31, 31, Status.FAILED, True),
        (31, 29, Status.DONE, False),
        (29, 29, Status.DONE, False),
        (31, None, Status.CANCELLED, True),
        (31, None, Status.RUNNING, False),
        (31, None, Status.QUEUED, False),
    ]
    goes = dict[str, bool]()
    for created, finished, status, wanted in cases:
        run = studio.enqueue(PAINT)
        ended = None if finished is None else ago(days=finished)
        with studio.store.session() as session:
            values = {"created": ago(days=created), "finished": ended, "status": status}
            session.execute(update(RunRow).where(RunRow.id == run.id).values(**values))
        goes[run.id] = wanted
    assert set(studio.maintenance.prune(timedelta(days=30)).runs) == {run for run, wanted in goes.items() if wanted}


def test_images_are_listed_from_a_time_until_another(store: Store) -> None:
    run = store.create(PAINT)
    store.add_artifact(run.id, "picture", "/a.png", "0" * 64)
    (picture,) = ImageIndex(store).list(Viewer(), ImageQuery())
    later = picture.created + timedelta(microseconds=1)

    def count(**query: datetime) -> int:
        return len(ImageIndex(store).list(Viewer(), ImageQuery.model_validate(query)))

    assert (count(since=picture.created), count(since=later)) == (1, 0)
    assert (count(until=picture.created), count(until=later)) == (0, 1)
