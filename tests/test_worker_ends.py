"""How a worker ends runs: by result, cancellation, lost leases and time limits."""

from __future__ import annotations

import errno
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
from limner.core.errors import Interrupted, LimnerError, Unavailable
from limner.core.events import Notice, Progress
from limner.core.execution import Execution
from limner.core.moderation import CheckUnavailable, RequestRefused
from limner.core.requests import GenerateRequest
from limner.core.runs import INTERNAL_ERROR, STORAGE_ERROR, Run, Status
from limner.store.database import DatabaseUnavailable
from limner.store.prune import owner_file
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
        (OSError(errno.ENOSPC, "full", "/srv/secret"), Status.FAILED, STORAGE_ERROR),
        (Unavailable("no space is left to write /srv/secret"), Status.FAILED, STORAGE_ERROR),
    ],
)
def test_status_by_failure(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, fails: BaseException | None, status: Status, error: str | None
) -> None:
    run = executed(studio, monkeypatch, fails)
    assert (run.status, run.error, run.attempt) == (status, error, 1) and run.finished is not None
    assert run.internal_error == (error is not None and error.startswith((INTERNAL_ERROR, STORAGE_ERROR)))


def test_a_disk_that_fails_before_a_run_is_executed_is_no_fault_of_the_request(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "full", "/srv/secret")

    monkeypatch.setattr(execution, "_discard_results", full)
    queue = Queue(studio.store, "full disk")
    run = studio.enqueue(GenerateRequest(prompt="a cat"), queue=queue.name)
    Worker(studio, queue, "w").execute(queue.claim("w", 1), lambda: False)
    ended = studio.store.get(run.id)
    assert (ended.status, ended.error, ended.internal_error) == (Status.FAILED, STORAGE_ERROR, True)


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


def test_the_engine_is_given_what_the_run_asks_for(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(execution.os, "cpu_count", lambda: 3)
    (tmp_path / "file").write_bytes(b"no tensors")
    reference = f"sha256:{studio.files.put(tmp_path / 'file')}"
    request = GenerateRequest(prompt="a cat", model=reference)
    run, asked = studio.enqueue(request, queue="given", execution=Execution(memory="low")), list[int]()
    waiting = Queue(studio.store, "given", lease=timedelta(0))
    for _ in range(2):
        ((_, lease),) = waiting.claim("w", 1)
    part = ClaimedRun(run, lease, stop=lambda: bool(asked))
    with prepared(studio, part) as job:
        workspace = job.workspace
        assert (workspace.run, workspace.folder) == (run.id, studio.store.folder(run.id))
        assert workspace.out == studio.store.folder(run.id) / "out-2" / request.folder_name
        assert (workspace.cache, workspace.home) == (studio.home / "cache", studio.home)
        assert (workspace.processes, workspace.execution) == (3, Execution(memory="low"))
        assert workspace.screen is not None and not workspace.resume and workspace.together is None
        path = job.request.model
        assert path.endswith(".safetensors") and Path(path).read_bytes() == b"no tensors"
        assert workspace.names == {path: reference} and workspace.called(path) == reference
        workspace.check()
        asked.append(1)
        with pytest.raises(Interrupted):
            workspace.check()
    assert (studio.store.folder(run.id) / owner_file(studio.store)).exists()


def test_what_a_run_reads_and_makes_is_screened(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    part, folder = undertaken(studio, "screened")
    steps: list[Any] = []

    class Screening:
        def __init__(self, run: Run, lease: Lease, place: Path) -> None:
            steps.append(("of", run.id, lease, place))

        def admit(self, request: Any) -> None:
            steps.append(("admit", request))

        def through(self, emit: Any) -> Any:
            return lambda event: steps.append(("made", event)) or emit(event)

        def settle(self) -> None:
            steps.append("settle")

    monkeypatch.setattr(studio.gate, "screening", Screening)
    with prepared(studio, part) as job:
        job.emit(Notice(text="made"))
    made = ("made", Notice(text="made"))
    assert steps == [("of", part.run.id, part.lease, folder), ("admit", part.run.request), made, "settle"]
    assert [event for _, _, event in studio.store.events(part.run.id)][-1] == Notice(text="made")


def test_a_request_that_names_a_path_is_not_executed(studio: Studio) -> None:
    run = studio.store.create(GenerateRequest(prompt="a cat", image="/etc/passwd"), queue="path")
    ((_, lease),) = Queue(studio.store, "path").claim("w", 1)
    with pytest.raises(LimnerError, match="is not a reference"), prepared(studio, ClaimedRun(run, lease)):
        pass


def test_errors_with_a_type_of_their_own_keep_it(studio: Studio) -> None:
    part, _ = undertaken(studio, "typed")
    fails = DatabaseUnavailable("it is away")
    with pytest.raises(DatabaseUnavailable) as caught, prepared(studio, part):
        raise fails
    assert caught.value is fails


def test_an_error_while_a_run_is_settled_is_its_end(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    part, _ = undertaken(studio, "settled")

    def execute(runs: list[PreparedRun]) -> Iterator[tuple[PreparedRun, None]]:
        yield runs[0], None

    def fails(*given: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(execution, "execute_prepared", execute)
    monkeypatch.setattr("limner.moderation.enforcement.Screening.settle", fails)
    ((ended, failure),) = execution.execute_claimed(studio, [part])
    assert ended is part and isinstance(failure, ZeroDivisionError)


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


@pytest.mark.parametrize("together", [None, 5])
def test_a_worker_claims_batches_and_cleans_the_machine(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, together: int | None
) -> None:
    queue, steps = Queue(studio.store, "cleaned"), list[Any]()

    def claim(worker: str, images: int, kinds: object) -> list[Any]:
        steps.append((worker, images, kinds))
        return [(f"run {len(steps)}", "lease")] if len(steps) < 5 else []

    monkeypatch.setattr(queue, "claim", claim)
    monkeypatch.setattr(studio.maintenance, "check_files", lambda: steps.append("files"))
    monkeypatch.setattr(studio.maintenance, "clean", lambda: steps.append("clean"))
    monkeypatch.setattr(Worker, "execute", lambda self, claimed, stop: steps.append(claimed[0][0]))
    more = {} if together is None else {"together": together, "kinds": {"prepare"}}
    Worker(studio, queue, "w", **more).work(lambda: "run 5" in steps or len(steps) > 5)
    claims = ("w", 8, None) if together is None else ("w", together, {"prepare"})
    assert steps[:4] == ["files", "clean", claims, "run 3"] and "clean" not in steps[2:], "once in an hour"


def test_a_worker_passes_its_time_limit_on(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(studio.store, "limited")
    studio.enqueue(GenerateRequest(prompt="a cat"), queue=queue.name)
    claimed = queue.claim("w", 1)
    monkeypatch.setattr(workers, "_must_stop", lambda *given: bool(given[2] == 7.0 and not given[1]()))

    def execute(studio: Studio, parts: list[ClaimedRun]) -> Iterator[tuple[ClaimedRun, Exception | None]]:
        (part,) = parts
        assert part.stop() and (part.run, part.lease) == claimed[0]
        part.listener(Notice(text="left out"))
        part.listener(Progress(done=3))
        yield part, None

    monkeypatch.setattr(workers, "execute_claimed", execute)
    Worker(studio, queue, "w", seconds=7.0).execute(claimed, lambda: False)
    assert studio.store.get(claimed[0][0].id).status is Status.DONE


def test_a_second_signal_ends_only_the_runs_that_are_left(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(studio.store, "interrupted")
    for _ in range(2):
        studio.enqueue(GenerateRequest(prompt="a cat"), queue=queue.name)
    claimed = queue.claim("w", 2)

    def execute(studio: Studio, parts: list[ClaimedRun]) -> Iterator[tuple[ClaimedRun, Exception | None]]:
        yield parts[0], None
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "execute_claimed", execute)
    Worker(studio, queue, "w").execute(claimed, lambda: False)
    assert [studio.store.get(run.id).status for run, _ in claimed] == [Status.DONE, Status.QUEUED]


def test_only_progress_is_reported_by_the_heartbeat() -> None:
    attempt = sign()
    attempt.listen(Progress(done=3))
    attempt.listen(Notice(text="x"))
    assert attempt.progress == Progress(done=3)


def test_the_heartbeat_goes_on_after_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert workers.HEARTBEAT == 0.5 and workers.BATCH == 8
    monkeypatch.setattr(workers, "HEARTBEAT", 0.001)
    attempt, beaten, asked = sign(), threading.Event(), list[int]()

    class Renewing:
        def renew(self, signs: Any) -> list[bool | None]:
            asked.append(1)
            if len(asked) == 1:
                raise DatabaseUnavailable("it is away")
            beaten.set()
            return [True]

    with Heartbeat(Renewing(), [attempt]):  # type: ignore[arg-type]
        assert beaten.wait(10)
    assert attempt.cancelled and not attempt.lost


def test_the_end_of_a_run_is_recorded_after_a_short_outage(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def retry(action: Any, seconds: float) -> Any:
        waited.append(seconds)
        return action()

    monkeypatch.setattr(workers, "retry_while_unavailable", retry)
    assert executed(studio, monkeypatch, None).status is Status.DONE
    assert waited == [30.0], "as long as the lease lasts"


def test_the_name_of_a_worker_says_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.socket, "gethostname", lambda: "a" * 40)
    first, second = workers.worker_name(), workers.worker_name()
    assert first.rpartition("-")[0] == f"{'a' * 32}-{os.getpid()}" and first != second and len(first) <= 64


def test_a_worker_survives_a_database_outage(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, asked = Queue(studio.store, "away"), list[str]()

    def claim(worker: str, together: int, kinds: object) -> list[Any]:
        asked.append(worker)
        if len(asked) == 1:
            raise DatabaseUnavailable("it is away")
        return []

    monkeypatch.setattr(queue, "claim", claim)
    monkeypatch.setattr(workers, "HEARTBEAT", 0.0)
    Worker(studio, queue, "w").work(lambda: len(asked) == 2)
    assert asked == ["w", "w"]
