"""How a worker ends runs: by result, cancellation, lost leases and time limits."""

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
from limner.core.moderation import CheckUnavailable, RequestRefused
from limner.core.requests import GenerateRequest
from limner.core.runs import INTERNAL_ERROR, Run, Status
from limner.store.database import DatabaseUnavailable
from limner.store.queue import Queue
from limner.store.runs import Lease, LeaseLost
from limner.studio.execution import PreparedRun
from limner.studio.studio import Studio
from limner.workers import execution
from limner.workers import worker as workers
from limner.workers.execution import ClaimedRun, prepared
from limner.workers.worker import Attempt, Heartbeat, Worker, _must_stop


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    found = Studio(tmp_path_factory.mktemp("worker"))
    yield found
    found.store.close()


def executed(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, fails: BaseException | None, cancelled: bool = False
) -> Run:
    """Execute a run that ends with `fails`, and return it as the worker recorded it."""
    queue = Queue(studio.store, f"queue {len(studio.store.list(1000))}")  # unique
    run = studio.enqueue(GenerateRequest(prompt="a cat"), queue=queue.name)
    claimed = queue.claim("w", 1)
    assert [each.id for each, _ in claimed] == [run.id]

    def execute(runs: list[PreparedRun]) -> Iterator[tuple[PreparedRun, Any]]:
        (run,) = runs
        stop: Any = run.workspace.stop
        stop.args[0].cancelled = cancelled
        if isinstance(fails, KeyboardInterrupt):
            raise fails
        yield run, fails

    monkeypatch.setattr(execution, "execute_prepared", execute)
    Worker(studio, queue, "w").execute(claimed, lambda: False)
    return studio.store.get(run.id)


@pytest.mark.parametrize(
    ("fails", "status", "error"),
    [
        (None, Status.DONE, None),
        (LimnerError("no such scheduler", "choose another"), Status.FAILED, "no such scheduler; choose another"),
        (KeyError("x"), Status.FAILED, f"{INTERNAL_ERROR} (KeyError); see the worker's log"),
        (MemoryError(), Status.FAILED, f"{INTERNAL_ERROR} (MemoryError); see the worker's log"),
    ],
)
def test_status_by_failure(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, fails: BaseException | None, status: Status, error: str | None
) -> None:
    run = executed(studio, monkeypatch, fails)
    assert (run.status, run.error, run.attempt) == (status, error, 1) and run.finished is not None
    assert run.internal_error == (error is not None and error.startswith(INTERNAL_ERROR))


@pytest.mark.parametrize("fails", [Interrupted(), KeyboardInterrupt()])
def test_a_stopped_run_is_requeued_unless_cancelled(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, fails: BaseException
) -> None:
    back = executed(studio, monkeypatch, fails)
    assert (back.status, back.attempt, back.finished) == (Status.QUEUED, 0, None)
    ended = executed(studio, monkeypatch, fails, cancelled=True)
    assert ended.status is Status.CANCELLED and ended.finished is not None and ended.error is None


def undertaken(studio: Studio, queue: str, *kinds: str) -> tuple[ClaimedRun, Path]:
    """A run at its second attempt, after the first made artifacts of these kinds, and its folder."""
    run = studio.enqueue(GenerateRequest(prompt="a cat"), queue=queue)
    waiting = Queue(studio.store, queue, lease=timedelta(0))
    ((_, lease),) = waiting.claim("w", 1)
    folder = studio.store.folder(run.id)
    (folder / "out-1" / "pictures").mkdir(parents=True)
    for kind in kinds:
        studio.store.add_artifact(run.id, kind, folder / kind, "0" * 64, lease=lease)
    ((_, lease),) = waiting.claim("w", 1)
    return ClaimedRun(run, lease), folder


@pytest.mark.parametrize(("checkpoint", "kinds"), [(True, ["preview"]), (False, [])])
def test_a_resumed_attempt_keeps_previews_only(studio: Studio, checkpoint: bool, kinds: list[str]) -> None:
    part, folder = undertaken(studio, f"attempts {checkpoint}", "preview", "picture")
    if checkpoint:
        (folder / "checkpoint-00000010").mkdir()
    with prepared(studio, part):
        assert [made.kind for made in studio.store.artifacts(part.run.id)] == kinds
        assert [*folder.glob("out-*")] == []


def test_messages_contain_no_path_of_the_machine(studio: Studio) -> None:
    part, _ = undertaken(studio, "paths")
    texts = list[str]()
    with pytest.raises(LimnerError) as caught, prepared(studio, part) as job:
        job.emit(Notice(text=f"{job.workspace.out / 'a.png'} beside {studio.home / 'x'}"))
        texts += [event.text for _, _, event in studio.store.events(part.run.id) if isinstance(event, Notice)]
        raise LimnerError(f"no space is left to write {job.workspace.out}", f"look at {studio.home}")
    assert texts == ["the results/a.png beside LIMNER_HOME/x"]
    assert str(caught.value) == "no space is left to write the results; look at LIMNER_HOME"


@pytest.mark.parametrize("fails", [RequestRefused("it was withheld", "too red"), CheckUnavailable("words")])
def test_refused_results_are_deleted(studio: Studio, fails: LimnerError) -> None:
    part, folder = undertaken(studio, f"refused {type(fails).__name__}")
    with pytest.raises(type(fails)), prepared(studio, part) as job:
        job.workspace.out.mkdir(parents=True)
        raise fails
    assert [*folder.glob("out-*")] == []


def test_a_run_is_requeued_when_the_database_is_unavailable(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    back = executed(studio, monkeypatch, DatabaseUnavailable("it is away"))
    assert (back.status, back.attempt) == (Status.QUEUED, 0)


def test_a_lost_run_is_not_changed(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    run = executed(studio, monkeypatch, LeaseLost(Lease("x", "w", 1)))
    assert (run.status, run.attempt) == (Status.RUNNING, 1), "another worker has it"


def sign(**fields: bool) -> Attempt:
    found = Attempt(Lease("r", "w", 1))
    for name, value in fields.items():
        setattr(found, name, value)
    return found


def test_must_stop() -> None:
    assert not _must_stop(sign(), lambda: False, None)
    assert _must_stop(sign(), lambda: True, None)
    assert _must_stop(sign(cancelled=True), lambda: False, None)
    with pytest.raises(LeaseLost):
        _must_stop(sign(lost=True), lambda: False, None)


@pytest.mark.parametrize(("age", "late"), [(59.0, False), (61.0, True)])
def test_time_limit_of_a_run(monkeypatch: pytest.MonkeyPatch, age: float, late: bool) -> None:
    found = sign()
    monkeypatch.setattr(workers.time, "monotonic", lambda: found.began + age)
    assert not _must_stop(found, lambda: False, None)
    if not late:
        assert not _must_stop(found, lambda: False, 60.0)
        return
    with pytest.raises(LimnerError, match="the run took longer than 60 s"):
        _must_stop(found, lambda: False, 60.0)


def test_the_heartbeat_reports_cancelled_and_lost_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four runs, one continues, one is cancelled, one is lost and one has ended."""
    monkeypatch.setattr(workers, "HEARTBEAT", 0.001)
    signs = [Attempt(Lease(name, "w", 1)) for name in ("goes on", "given up", "lost", "ended")]
    signs[0].listen(Progress(done=3))
    signs[3].ended = True
    beaten, asked = threading.Event(), list[list[tuple[str, Progress | None]]]()

    class Renewing:
        def renew(self, signs: Any) -> list[bool | None]:
            asked.append([(lease.run, progress) for lease, progress in signs])
            if len(asked) > 1:
                beaten.set()
            return [{"goes on": False, "given up": True, "lost": None}[lease.run] for lease, _ in signs]

    with Heartbeat(Renewing(), signs):  # type: ignore[arg-type]
        assert beaten.wait(10)
    assert asked[0] == [("goes on", Progress(done=3)), ("given up", None), ("lost", None)]
    assert asked[1] == asked[0][:2], "lost runs are not renewed"
    assert [(each.lost, each.cancelled) for each in signs] == [
        (False, False),
        (False, True),
        (True, False),
        (False, False),
    ]


def test_a_worker_ends_with_its_parent(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = list[bool]()
    monkeypatch.setattr(Worker, "work", lambda self, stop: ends.append(stop()))
    monkeypatch.setattr("limner.core.logs.configure", lambda form: None)
    for parent in (None, os.getppid(), os.getppid() + 1):
        service.worker(parent=parent)
    assert ends == [False, False, True]


def test_the_second_signal_interrupts() -> None:
    before, messages = signal.getsignal(signal.SIGTERM), list[str]()
    with stop_on_signal(messages.append) as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop() and len(messages) == 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_worker_survives_a_database_outage(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, asked = Queue(studio.store, "away"), list[str]()

    def claim(worker: str, together: int) -> list[Any]:
        asked.append(worker)
        if len(asked) == 1:
            raise DatabaseUnavailable("it is away")
        return []

    monkeypatch.setattr(queue, "claim", claim)
    monkeypatch.setattr(workers, "HEARTBEAT", 0.0)
    Worker(studio, queue, "w").work(lambda: len(asked) == 2)
    assert asked == ["w", "w"]
