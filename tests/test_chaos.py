"""Test that all runs end, each once, when workers are killed at random."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest
from sqlalchemy import select

from forking import forked
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.store.files import sha256_of
from limner.store.queue import Queue
from limner.store.tables import RunRow
from limner.studio.studio import Studio
from limner.workers.worker import Worker

WORKERS, LEASE = 2, timedelta(seconds=2)


def work() -> None:
    """What each worker process does until it is killed."""
    studio = Studio()
    Worker(studio, Queue(studio.store, lease=LEASE, attempts=1000)).work(lambda: False)


def at_work(studio: Studio) -> set[int]:
    """The processes of the workers that execute a run, by their names."""
    with studio.store.session() as session:
        names = session.scalars(select(RunRow.worker).where(RunRow.status == Status.RUNNING)).all()
    return {int(name.split("-")[-2]) for name in names if name}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "runs", "kills"),
    [
        ("sqlite", 300, 10),
        ("postgres", 300, 10),
    ],
    indirect=["database"],
)
def test_many_runs_under_killed_workers(
    home: Path, tiny_sd: Path, database: str | None, runs: int, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database is not None:
        monkeypatch.setenv("LIMNER_DATABASE", database)
    studio, chance = Studio(), random.Random(7)
    model = studio.files.save(tiny_sd)
    for seed in range(runs):
        studio.enqueue(GenerateRequest(prompt="a cat", model=model, steps=2, count=1 + seed % 3, seed=seed))

    def ended() -> int:
        return sum(run.status.ended for run in studio.store.list(runs))

    workers: list[ForkProcess] = [forked(studio, work) for _ in range(WORKERS)]
    killed, until = 0, time.monotonic() + 900
    try:
        while (before := ended()) < runs:
            asked, patience = before + chance.randrange(12), time.monotonic() + chance.uniform(4, 20)
            while ended() < min(asked, runs) and time.monotonic() < patience:  # however slow the machine is
                time.sleep(0.1)
            assert time.monotonic() < until, "the runs did not end in time"
            time.sleep(chance.uniform(0, 0.3))
            busy: list[int] = []
            while not busy and ended() < runs:
                busy = [index for index, worker in enumerate(workers) if worker.pid in at_work(studio)]
            victim = chance.choice(busy or range(WORKERS))
            workers[victim].kill()
            workers[victim].join()
            killed += 1
            workers[victim] = forked(studio, work)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
    found = studio.store.list(runs + 1)
    assert {run.error for run in found if run.status is not Status.DONE} == set() and len(found) == runs
    assert killed >= kills and sum(run.attempt for run in found) > runs, "no worker was killed at its work"
    for run in found:
        assert isinstance(run.request, GenerateRequest)
        pictures = studio.store.artifacts(run.id, kind="picture")
        assert sorted(picture.details["index"] for picture in pictures) == list(range(run.request.count))
        for picture in pictures:
            assert sha256_of(studio.files.local_path(picture.details["reference"])) == picture.sha256
    studio.store.close()
