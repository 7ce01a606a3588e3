"""How a worker ends a run: by what became of it, and by what its user and its lease say meanwhile."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from limner.cli.commands import service
from limner.cli.commands.shared import stop_on_signal
from limner.core.errors import Interrupted, LimnerError
from limner.core.events import Notice, Progress
from limner.core.moderation import RequestRefused, Unable
from limner.core.requests import GenerateRequest
from limner.core.runs import INTERNAL_ERROR, Run, Status
from limner.store.database import DatabaseUnavailable
from limner.store.queue import Queue
from limner.store.runs import Lease, LeaseLost
from limner.studio.execution import Job
from limner.studio.studio import Studio
from limner.workers import execution
from limner.workers import worker as workers
from limner.workers.execution import ClaimedRun, prepared
from limner.workers.worker import Pulse, Sign, Worker, _stopped


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    found = Studio(tmp_path_factory.mktemp("worker"))
    yield found
    found.store.close()


def carried_out(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, fails: BaseException | None, cancelled: bool = False
) -> Run:
    """A run as it stands after a worker carried it out, which ends as the test has it."""
    queue = Queue(studio.store, f"queue {len(studio.store.list(1000))}")  # one of its own
    run = studio.enqueue(GenerateRequest(prompt="a cat"), queue=queue.name)
    found = queue.claim("w")
    assert [claimed.id for claimed, _ in found] == [run.id]

    def execute(jobs: list[Job]) -> Iterator[tuple[Job, Any]]:
        stop: Any = jobs[0].workspace.stop
        stop.args[0].cancelled = cancelled
        if isinstance(fails, KeyboardInterrupt):
            raise fails
        yield jobs[0], fails

    monkeypatch.setattr(execution, "execute_jobs", execute)
    Worker(studio, queue, "w").execute(found, lambda: False)
    return studio.store.get(run.id)


@pytest.mark.parametrize(
    ("fails", "status", "error"),
    [
        (None, Status.DONE, None),
        (LimnerError("no such scheduler", "choose another"), Status.FAILED, "no such scheduler; choose another"),
        (KeyError("x"), Status.FAILED, f"{INTERNAL_ERROR} (KeyError); its log tells more"),
        (MemoryError(), Status.FAILED, f"{INTERNAL_ERROR} (MemoryError); its log tells more"),
    ],
)
def test_a_run_ends_by_what_became_of_it(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, fails: BaseException | None, status: Status, error: str | None
) -> None:
    run = carried_out(studio, monkeypatch, fails)
    assert (run.status, run.error, run.attempt) == (status, error, 1) and run.finished is not None
    assert run.internal_error == (error is not None and error.startswith(INTERNAL_ERROR))


@pytest.mark.parametrize("fails", [Interrupted(), KeyboardInterrupt()])
def test_a_run_that_is_stopped_goes_back_unless_its_user_gave_it_up(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, fails: BaseException
) -> None:
    back = carried_out(studio, monkeypatch, fails)
    assert (back.status, back.attempt, back.finished) == (Status.QUEUED, 0, None)
    ended = carried_out(studio, monkeypatch, fails, cancelled=True)
    assert ended.status is Status.CANCELLED and ended.finished is not None and ended.error is None


def undertaken(studio: Studio, queue: str, *kinds: str) -> tuple[ClaimedRun, Path]:
    """A run at its second attempt, of which the first made something of these kinds; its folder."""
    run = studio.enqueue(GenerateRequest(prompt="a cat"), queue=queue)
    waiting = Queue(studio.store, queue, lease=timedelta(0))
    ((_, hold),) = waiting.claim("w")
    folder = studio.store.folder(run.id)
    (folder / "out-1" / "pictures").mkdir(parents=True)
    for kind in kinds:
        studio.store.add_artifact(run.id, kind, folder / kind, "0" * 64, lease=hold)
    ((_, hold),) = waiting.claim("w")
    return ClaimedRun(run, hold), folder


@pytest.mark.parametrize(("checkpoint", "kinds"), [(True, ["preview"]), (False, [])])
def test_another_attempt_keeps_only_previews_and_only_where_it_goes_on(
    studio: Studio, checkpoint: bool, kinds: list[str]
) -> None:
    part, folder = undertaken(studio, f"attempts {checkpoint}", "preview", "picture")
    if checkpoint:
        (folder / "checkpoint-00000010").mkdir()
    with prepared(studio, part):
        assert [made.kind for made in studio.store.artifacts(part.run.id)] == kinds
        assert [*folder.glob("out-*")] == []


def test_no_path_of_this_machine_is_told(studio: Studio) -> None:
    part, _ = undertaken(studio, "paths")
    told = list[str]()
    with pytest.raises(LimnerError) as caught, prepared(studio, part) as job:
        job.emit(Notice(text=f"{job.workspace.out / 'a.png'} beside {studio.home / 'x'}"))
        told += [event.text for _, _, event in studio.store.events(part.run.id) if isinstance(event, Notice)]
        raise LimnerError(f"no space is left to write {job.workspace.out}", f"look at {studio.home}")
    assert told == ["the results/a.png beside LIMNER_HOME/x"]
    assert str(caught.value) == "no space is left to write the results; look at LIMNER_HOME"


@pytest.mark.parametrize("fails", [RequestRefused("it was withheld", "too red"), Unable("words")])
def test_nothing_stays_of_results_that_are_refused(studio: Studio, fails: LimnerError) -> None:
    part, folder = undertaken(studio, f"refused {type(fails).__name__}")
    with pytest.raises(type(fails)), prepared(studio, part) as job:
        job.workspace.out.mkdir(parents=True)
        raise fails
    assert [*folder.glob("out-*")] == []


def test_a_run_whose_database_stays_away_goes_back(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    back = carried_out(studio, monkeypatch, DatabaseUnavailable("it is away"))
    assert (back.status, back.attempt) == (Status.QUEUED, 0)


def test_a_run_that_was_lost_is_left_alone(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    run = carried_out(studio, monkeypatch, LeaseLost(Lease("x", "w", 1)))
    assert (run.status, run.attempt) == (Status.RUNNING, 1), "another worker has it"


def sign(**told: bool) -> Sign:
    found = Sign(Lease("r", "w", 1))
    for name, value in told.items():
        setattr(found, name, value)
    return found


def test_a_run_stops_when_the_worker_must_or_its_user_wants_it() -> None:
    assert not _stopped(sign(), lambda: False, None)
    assert _stopped(sign(), lambda: True, None)
    assert _stopped(sign(cancelled=True), lambda: False, None)
    with pytest.raises(LeaseLost):
        _stopped(sign(lost=True), lambda: False, None)


@pytest.mark.parametrize(("age", "late"), [(59.0, False), (61.0, True)])
def test_a_run_may_take_as_many_seconds_as_the_service_allows(
    monkeypatch: pytest.MonkeyPatch, age: float, late: bool
) -> None:
    found = sign()
    monkeypatch.setattr(workers.time, "monotonic", lambda: found.began + age)
    assert not _stopped(found, lambda: False, None)
    if not late:
        assert not _stopped(found, lambda: False, 60.0)
        return
    with pytest.raises(LimnerError, match="it took longer than the 60 s that this service allows"):
        _stopped(found, lambda: False, 60.0)


def test_signs_of_life_bring_back_what_users_and_other_workers_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """One beat: of four runs one goes on, one was given up, one was lost; of one that ended nobody asks."""
    monkeypatch.setattr(workers, "BEAT", 0.001)
    signs = [Sign(Lease(name, "w", 1)) for name in ("goes on", "given up", "lost", "ended")]
    signs[0].listen(Progress(done=3))
    signs[3].ended = True
    beaten, asked = threading.Event(), list[list[tuple[str, Progress | None]]]()

    class Renewing:
        def renew(self, told: Any) -> list[bool | None]:
            asked.append([(hold.run, progress) for hold, progress in told])
            if len(asked) > 1:
                beaten.set()
            return [{"goes on": False, "given up": True, "lost": None}[hold.run] for hold, _ in told]

    with Pulse(Renewing(), signs):  # type: ignore[arg-type]
        assert beaten.wait(10)
    assert asked[0] == [("goes on", Progress(done=3)), ("given up", None), ("lost", None)]
    assert asked[1] == asked[0][:2], "nobody asks for what is lost"
    assert [(each.lost, each.cancelled) for each in signs] == [
        (False, False),
        (False, True),
        (True, False),
        (False, False),
    ]


def test_a_worker_ends_with_the_service_that_started_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = list[bool]()
    monkeypatch.setattr(Worker, "work", lambda self, stop: ends.append(stop()))
    monkeypatch.setattr("limner.core.logs.configure", lambda form: None)
    for parent in (None, os.getppid(), os.getppid() + 1):
        service.worker(parent=parent)
    assert ends == [False, False, True]


def test_the_first_signal_asks_and_the_second_stops_at_once() -> None:
    before, said = signal.getsignal(signal.SIGTERM), list[str]()
    with stop_on_signal(said.append) as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop() and len(said) == 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_worker_outlives_a_database_that_is_away(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, asked = Queue(studio.store, "away"), list[str]()

    def claim(worker: str, together: int) -> list[Any]:
        asked.append(worker)
        if len(asked) == 1:
            raise DatabaseUnavailable("it is away")
        return []

    monkeypatch.setattr(queue, "claim", claim)
    monkeypatch.setattr(workers, "BEAT", 0.0)
    Worker(studio, queue, "w").work(lambda: len(asked) == 2)
    assert asked == ["w", "w"]
