"""Tests of how runs are executed in this process: what the engine is given, and what is recorded of their ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from limner.core.errors import Interrupted, LimnerError
from limner.core.events import ArtifactCreated, Event, Notice, Progress
from limner.core.execution import Execution
from limner.core.requests import GenerateRequest
from limner.core.runs import Run, Status
from limner.store import sessions
from limner.store.blobs import Blobs
from limner.store.database import DatabaseUnavailable
from limner.store.runs import Lease, Store
from limner.studio import execution
from limner.studio.execution import PreparedRun, execute_here, execute_prepared, recorder

PAINT = GenerateRequest(prompt="a cat")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path / "home")
    yield found
    found.close()


class Engine:
    """Takes the place of the engine: ends the runs with these errors, in order, and records what it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: Store, *ends: BaseException | None) -> None:
        self.store, self.ends, self.seen = store, ends or (None,), list[tuple[PreparedRun, Run]]()
        self.heard: list[tuple[int, Event]] = []
        monkeypatch.setattr(execution, "execute_prepared", self.execute)

    def execute(self, runs: Sequence[PreparedRun]) -> Iterator[tuple[PreparedRun, Any]]:
        self.seen = [(run, self.store.get(run.workspace.run)) for run in runs]
        for run, end in zip(runs, self.ends, strict=True):
            run.emit(Notice(text=f"of {run.request.prompt}"))
            if isinstance(end, KeyboardInterrupt):
                raise end
            yield run, end

    def __call__(self, runs: Sequence[Run], out: Path | None = None, **more: Any) -> None:
        given = {"stop": lambda: False, "listener": lambda index, event: self.heard.append((index, event))} | more
        execute_here(
            self.store, runs, out, files=Blobs(str(self.store.home / "files"), self.store.home / "cache"), **given
        )


def test_the_engine_is_given_what_was_recorded(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, asked = Engine(monkeypatch, store), list[int]()
    run = store.create(PAINT, out=tmp_path / "out", execution=Execution(memory="low"))
    store.update(run.id, error="of the last time")
    engine([store.get(run.id)], resume=True, batch=3, stop=lambda: bool(asked))
    ((prepared, recorded),) = engine.seen
    workspace = prepared.workspace
    assert (prepared.request, workspace.run, workspace.folder) == (PAINT, run.id, store.folder(run.id))
    assert (workspace.out, workspace.cache) == (tmp_path / "out", store.home / "cache")
    assert (workspace.resume, workspace.together, workspace.home) == (True, 3, store.home)
    assert workspace.execution == Execution(memory="low")
    workspace.check()
    asked.append(1)
    with pytest.raises(Interrupted):
        workspace.check()
    assert (recorded.status, recorded.error, recorded.out) == (Status.RUNNING, None, str(tmp_path / "out"))
    done = store.get(run.id)
    assert done.status is Status.DONE and done.started == recorded.started and done.finished is not None


def test_results_go_to_the_runs_own_folder_or_where_they_are_sent(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, run = Engine(monkeypatch, store), store.create(PAINT)
    engine([run])
    assert engine.seen[0][0].workspace.out == store.folder(run.id) / "out" and store.get(run.id).out is None
    assert engine.seen[0][0].workspace.together is None and not engine.seen[0][0].workspace.resume
    engine([store.create(PAINT, out=tmp_path / "recorded")], tmp_path / "sent")
    workspace, recorded = engine.seen[0][0].workspace, engine.seen[0][1]
    assert (workspace.out, recorded.out) == (tmp_path / "sent", str(tmp_path / "sent"))


def test_a_resumed_run_keeps_its_start(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    began = datetime.now(UTC) - timedelta(hours=1)
    run = store.update(store.create(PAINT).id, started=began, status=Status.INTERRUPTED)
    Engine(monkeypatch, store)([run])
    assert store.get(run.id).started == began


def test_what_killed_programs_left_is_removed_from_all_folders(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaned: list[Path] = []
    monkeypatch.setattr(execution, "remove_stale_temporaries", cleaned.append)
    run = store.create(PAINT, out=tmp_path / "rex" / "out")
    Engine(monkeypatch, store)([run])
    assert cleaned == [tmp_path / "rex" / "out", tmp_path / "rex", store.folder(run.id)]


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        (Interrupted("it is late"), Status.INTERRUPTED, "it is late"),
        (Interrupted(), Status.INTERRUPTED, "stopped"),
        (KeyboardInterrupt(), Status.INTERRUPTED, "stopped"),
        (LimnerError("no memory", "use less"), Status.FAILED, "no memory; use less"),
        (ZeroDivisionError(), Status.FAILED, "ZeroDivisionError"),
    ],
)
def test_the_end_of_a_run_is_recorded(
    store: Store, monkeypatch: pytest.MonkeyPatch, end: BaseException, status: Status, error: str
) -> None:
    run = store.create(PAINT)
    with pytest.raises(type(end)):
        Engine(monkeypatch, store, end)([run])
    ended = store.get(run.id)
    assert (ended.status, ended.error) == (status, error) and ended.finished is not None


def test_runs_of_a_batch_end_by_themselves_and_the_first_error_is_raised(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(monkeypatch, store, LimnerError("first"), None, LimnerError("second"))
    runs = [store.create(GenerateRequest(prompt=name)) for name in ("a", "b", "c")]
    with pytest.raises(LimnerError, match="first"):
        engine(runs)
    ends = [(run.status, run.error) for run in (store.get(run.id) for run in runs)]
    assert ends == [(Status.FAILED, "first"), (Status.DONE, None), (Status.FAILED, "second")]
    assert engine.heard == [(index, Notice(text=f"of {name}")) for index, name in enumerate("abc")]
    assert [store.events(run.id)[0][2] for run in runs] == [event for _, event in engine.heard]


def test_each_run_of_a_batch_has_its_own_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fails = LimnerError("too large")

    def execute_together(jobs: list[Any]) -> Iterator[tuple[Any, Exception | None]]:
        yield jobs[1], None
        yield jobs[0], fails

    monkeypatch.setattr("limner.engine.execute.execute_together", execute_together)
    runs: list[Any] = [PreparedRun(GenerateRequest(prompt=name), None, print) for name in "ab"]  # type: ignore[arg-type]
    assert list(execute_prepared(runs)) == [(runs[1], None), (runs[0], fails)]


class Recording:
    """Takes the place of a store and of its files; fails as if the database did not respond, a number of times."""

    def __init__(self, failures: int = 0) -> None:
        self.calls, self.failures = list[tuple[Any, ...]](), failures

    def add_artifact(self, *given: Any) -> None:
        self.calls.append(("artifact", *given))

    def add_event(self, *given: Any) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise DatabaseUnavailable("it is away")
        self.calls.append(("event", *given))

    def save(self, path: Path) -> str:
        self.calls.append(("saved", path))
        return f"sha256:{'a' * 64}"


LEASE = Lease("r", "w", 1)
RUN = Run(id="r", request=PAINT, created=datetime(2026, 1, 2, tzinfo=UTC))
MADE = ArtifactCreated(what="picture", path="/a.png", sha256="a" * 64, details={"seed": 7})


def test_results_of_a_queued_run_are_stored_by_content_under_its_lease() -> None:
    store: Any = Recording()
    heard: list[Event] = []
    recorder(store, RUN, heard.append, LEASE, store)(MADE)
    details = {"seed": 7, "reference": f"sha256:{'a' * 64}"}
    made = MADE.model_copy(update={"details": details})
    assert store.calls == [
        ("saved", Path("/a.png")),
        ("artifact", "r", "picture", "/a.png", "a" * 64, details, LEASE),
        ("event", "r", made, LEASE),
        ("saved", Path("/a.png")),
    ], "again, because an erasure may have removed it before it was recorded"
    assert heard == [made]


def test_results_of_a_run_here_stay_where_they_are() -> None:
    store: Any = Recording()
    recorder(store, RUN, lambda event: None)(MADE)
    assert store.calls == [
        ("artifact", "r", "picture", "/a.png", "a" * 64, {"seed": 7}, None),
        ("event", "r", MADE, None),
    ]


def test_progress_is_passed_on_but_not_recorded() -> None:
    store: Any = Recording()
    heard: list[Event] = []
    recorder(store, RUN, heard.append, LEASE, store)(Progress(done=3))
    assert store.calls == [] and heard == [Progress(done=3)]


def test_an_outage_is_waited_for_as_long_as_the_lease_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "RETRY_SECONDS", 0.0)
    store: Any = Recording(failures=3)
    recorder(store, RUN, lambda event: None, LEASE)(Notice(text="x"))
    assert store.calls == [("event", "r", Notice(text="x"), LEASE)]
    store = Recording(failures=1)
    with pytest.raises(DatabaseUnavailable):
        recorder(store, RUN, lambda event: None)(Notice(text="x"))
