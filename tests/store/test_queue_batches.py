"""Tests of runs that are claimed as one batch."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, update

from limner.core.requests import AdapterUse, GenerateRequest
from limner.store.queue import Queue
from limner.store.tables import RunRow
from limner.studio.studio import Studio


def test_a_forged_batch_key_joins_no_batch(home: Path) -> None:
    studio = Studio(home)
    queue = Queue(studio.store)
    fields = {"prompt": "a cat", "batch": 4, "model": "starter"}
    plain = [studio.store.create(GenerateRequest(**fields), queue=queue.name) for _ in range(2)]
    other = GenerateRequest(**fields, adapter=(AdapterUse(path="sha256:" + "a" * 64),))
    forged = studio.store.create(other, queue=queue.name)
    with studio.store.writing() as session:
        key = session.scalars(select(RunRow.batch_key).where(RunRow.id == plain[0].id)).one()
        assert key is not None
        session.execute(update(RunRow).values(batch_key=key).where(RunRow.id == forged.id))
    taken = [run.id for run, _ in queue.claim("w", 4)]
    assert taken == [run.id for run in plain]
    assert [run.id for run, _ in queue.claim("w", 4)] == [forged.id], "it is carried out by itself"
    studio.store.close()


def test_runs_of_another_kind_take_no_room_of_a_batch(home: Path) -> None:
    studio = Studio(home)
    queue = Queue(studio.store)
    fields = {"prompt": "a cat", "batch": 4, "model": "starter"}
    first = studio.store.create(GenerateRequest(**fields), queue=queue.name)
    for letter in "abcd":
        other = GenerateRequest(**fields, adapter=(AdapterUse(path="sha256:" + letter * 64),))
        studio.store.create(other, queue=queue.name)
    last = studio.store.create(GenerateRequest(**fields), queue=queue.name)
    assert [run.id for run, _ in queue.claim("w", 4)] == [first.id, last.id]
    studio.store.close()
