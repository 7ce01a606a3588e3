"""Three hundred runs, and workers that are killed at random: all end, each once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.store.files import sha256_of
from limner.studio import Studio

RUNS, WORKERS, LEASE = 300, 2, 2.0

NURSERY = f"""
import os, sys
from datetime import timedelta
import torch, diffusers, transformers
from limner.engine import execute
from limner.engine.painting import generate
from limner.store.queue import Queue
from limner.studio import Studio
from limner.worker import Worker

torch.set_num_threads(1)
for line in sys.stdin:  # each line asks for one more worker, forked from here, for imports take long
    child = os.fork()
    if child == 0:
        sys.stdin.close()
        studio = Studio()
        Worker(studio, Queue(studio.store, lease=timedelta(seconds={LEASE}), attempts=1000)).work(lambda: False)
    print(child, flush=True)
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            break
"""


@pytest.mark.slow
def test_three_hundred_runs_under_killed_workers(
    home: Path, tiny_sd: Path, database: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database is not None:
        monkeypatch.setenv("LIMNER_DATABASE", database)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    studio, chance = Studio(), random.Random(7)
    model = studio.blobs.keep(tiny_sd)
    for seed in range(RUNS):
        studio.enqueue(GenerateRequest(prompt="a cat", model=model, steps=2, count=1 + seed % 3, seed=seed))
    nursery = subprocess.Popen(
        [sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert nursery.stdin is not None and nursery.stdout is not None

    def born() -> int:
        assert nursery.stdin is not None and nursery.stdout is not None
        print(file=nursery.stdin, flush=True)
        return int(nursery.stdout.readline())

    def ended() -> int:
        return sum(run.status.ended for run in studio.store.list(RUNS))

    workers = [born() for _ in range(WORKERS)]
    killed, until = 0, time.monotonic() + 900
    try:
        while (before := ended()) < RUNS:
            asked, patience = before + chance.randrange(12), time.monotonic() + chance.uniform(4, 20)
            while ended() < min(asked, RUNS) and time.monotonic() < patience:  # however slow the machine is
                time.sleep(0.1)
            assert time.monotonic() < until, "the runs did not end in time"
            time.sleep(chance.uniform(0, 1))
            victim = chance.randrange(WORKERS)
            os.kill(workers[victim], signal.SIGKILL)
            killed += 1
            workers[victim] = born()
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        nursery.kill()
        nursery.wait()
        nursery.stdin.close()
        nursery.stdout.close()
    runs = studio.store.list(RUNS + 1)
    assert {run.error for run in runs if run.status is not Status.DONE} == set() and len(runs) == RUNS
    assert killed > 10 and sum(run.attempt for run in runs) > RUNS, "no worker was killed at its work"
    for run in runs:
        assert isinstance(run.request, GenerateRequest)
        pictures = studio.store.artifacts(run.id, kind="picture")
        assert sorted(picture.details["index"] for picture in pictures) == list(range(run.request.count))
        for picture in pictures:
            assert sha256_of(studio.blobs.bring(picture.details["reference"])) == picture.sha256
    studio.store.close()
