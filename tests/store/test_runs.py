"""Tests of runs, events and artifacts in the store."""

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy.exc import StatementError

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, Notice, Progress, Stage
from limner.core.moderation import Policy
from limner.core.requests import AdapterUse, GenerateRequest, TrainRequest
from limner.core.runs import Status
from limner.store import runs
from limner.store.runs import Admission, Store
from limner.store.tables import RunRow
from limner.store.verdicts import Verdicts

PAINT = GenerateRequest(prompt="a dog")
POLICY = Policy()


def naming(monkeypatch: pytest.MonkeyPatch, *ids: str) -> None:
    """Let the next runs have these ids."""
    coming = iter(ids)
    monkeypatch.setattr(runs, "_new_id", lambda now: next(coming))
    monkeypatch.setattr(RunRow.__table__.c.id.type, "pattern", ".*")


@pytest.mark.parametrize(
    "request_",
    [
        GenerateRequest(prompt="ein Häschen 🐇 'x'; --", adapter=(AdapterUse(path="a", weight=0.1),), seed=2**63 - 1),
        TrainRequest(data="/d", class_word="dog", options={"rank": 4, "targets": ["q", "v"], "a": {"b": None}}),
    ],
)
def test_a_request_is_read_back_equal(
    store: Store, tmp_path: Path, database: str | None, request_: GenerateRequest | TrainRequest
) -> None:
    before = datetime.now(UTC)
    run = store.create(request_, out=tmp_path / "out")
    again = Store(tmp_path, database)
    assert again.get(run.id) == run
    again.close()
    assert run.request == request_
    assert run.request.digest == request_.digest
    assert (run.status, run.out, run.parent) == (Status.QUEUED, str(tmp_path / "out"), None)
    assert before <= run.created <= datetime.now(UTC)
    assert run.created.utcoffset() == timedelta(0)


def test_a_run_is_read_back_with_all_that_was_recorded(store: Store) -> None:
    Verdicts(store).save_policy(POLICY.digest, POLICY.text)
    caller = Caller(account="ann", key="0" * 12)
    run = store.create(
        PAINT, queue="default", priority=3, tags={"a": "b"}, caller=caller, admission=Admission(POLICY.digest)
    )
    found = store.get(run.id)
    assert (found.queue, found.priority, found.tags) == ("default", 3, {"a": "b"})
    assert (found.owner, found.key, found.policy) == ("ann", "0" * 12, POLICY.digest)


def test_ids_sort_by_time_and_are_unique(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs._new_id(datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC))[:14] == "310203-040506-"
    naming(monkeypatch, "same", "same", "other")
    assert [store.create(PAINT).id, store.create(PAINT).id] == ["same", "other"]


def test_a_run_is_found_by_the_start_of_its_id(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    naming(monkeypatch, "abc-1", "abc-2", "abd%3", "abc-22")
    for _ in range(4):
        store.create(PAINT)
    assert store.get("abd").id == "abd%3"
    assert store.get("abc-2").id == "abc-2", "a whole id is never ambiguous"
    with pytest.raises(LimnerError, match="several runs begin with 'abc': abc-22, abc-2, abc-1; give more"):
        store.get("abc")
    with pytest.raises(LimnerError, match="unknown run 'abc-3'; did you mean 'abc-"):
        store.get("abc-3")
    for nothing in ("", "%", "_bc"):
        with pytest.raises(LimnerError, match="unknown run"):
            store.get(nothing)


@pytest.mark.parametrize(
    ("count", "named"),
    [(5, "abc-5, abc-4, abc-3, abc-2, abc-1; give more"), (6, "abc-6, abc-5, abc-4, abc-3, abc-2, ...; give more")],
)
def test_at_most_five_runs_of_one_beginning_are_named(
    store: Store, monkeypatch: pytest.MonkeyPatch, count: int, named: str
) -> None:
    naming(monkeypatch, *(f"abc-{number}" for number in range(1, count + 1)))
    for _ in range(count):
        store.create(PAINT)
    with pytest.raises(LimnerError, match=f"several runs begin with 'abc': {named}"):
        store.get("abc")


def test_the_most_similar_ids_are_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    naming(monkeypatch, "alpha", "one", "two", "ten")
    for _ in range(4):
        store.create(PAINT)
    with pytest.raises(LimnerError, match="unknown run 'alphx'; did you mean 'alpha'"):
        store.get("alphx")


def test_an_unknown_run_is_refused_everywhere(store: Store) -> None:
    for use in (
        lambda: store.get("x"),
        lambda: store.update("x", status=Status.DONE),
        lambda: store.add_event("x", Notice(text="hello")),
        lambda: store.add_artifact("261129-101010-xxxx", "picture", "/p", "0" * 64),
        lambda: store.folder("../x"),
        lambda: store.create(PAINT, parent="x"),
    ):
        with pytest.raises(LimnerError, match=r"unknown run '.*x'; `limner runs` lists the runs"):
            use()
    assert store.list(9) == []
    assert not (store.home.parent / "x").exists()


def test_list_is_newest_first_and_filters(store: Store) -> None:
    first, second = store.create(PAINT), store.create(TrainRequest(data="/d", class_word="dog"))
    third = store.create(PAINT, parent=second.id[:-1])
    assert third.parent == second.id
    store.update(first.id, status=Status.DONE)
    assert [run.id for run in store.list(9)] == [third.id, second.id, first.id]
    assert [run.id for run in store.list(2)] == [third.id, second.id]
    assert [run.id for run in store.list(9, kind="train")] == [second.id]
    assert [run.id for run in store.list(9, kind="generate", status=Status.DONE)] == [first.id]


def test_all_but_queued_and_running_runs_have_ended(store: Store) -> None:
    runs = {status: store.create(GenerateRequest(prompt="a")).id for status in Status}
    for status, run in runs.items():
        store.update(run, status=status)
    going = {runs[Status.QUEUED], runs[Status.RUNNING]}
    assert {*store.ended_among([*runs.values()])} == {*runs.values()} - going
    assert store.ended_among([runs[Status.DONE], "nosuch"]) == [runs[Status.DONE]]


def test_update_changes_only_the_given_fields(store: Store) -> None:
    run, other = store.create(PAINT), store.create(PAINT)
    moment = datetime(2030, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    changed = store.update(run.id, status=Status.FAILED, error="no", started=moment)
    expected = {"status": Status.FAILED, "error": "no", "started": datetime(2030, 1, 1, 12, tzinfo=UTC)}
    assert changed == store.get(run.id) == run.model_copy(update=expected)
    assert store.update(run.id, error=None).error is None
    assert store.get(run.id).status is Status.FAILED
    assert store.get(other.id) == other
    with pytest.raises(StatementError, match="has no time zone"):
        store.update(run.id, finished=datetime(2030, 1, 1))


@pytest.mark.parametrize("status", list(Status))
def test_unfinished_runs_newest_first(store: Store, status: Status) -> None:
    store.create(GenerateRequest(prompt="a cat"))
    first, run = store.create(PAINT), store.create(PAINT)
    store.update(run.id, status=status)
    found = [run.id for run in store.unfinished(PAINT.digest)]
    assert found == ([first.id] if status in (Status.DONE, Status.CANCELLED) else [run.id, first.id])
    assert store.unfinished("0" * 64) == []


def test_events_are_read_in_order(store: Store) -> None:
    run, other = store.create(PAINT), store.create(PAINT)
    events = [
        Stage(name="paint", total=2),
        Progress(done=1, figures={"loss": 0.1}),
        Notice(text="ü", level="warning"),
        ArtifactCreated(what="picture", path="/p", sha256="0", details={"seed": 2**63 - 1}),
    ]
    assert [store.add_event(run.id, event) for event in events] == [1, 2, 3, 4]
    assert store.add_event(other.id, events[0]) == 1
    stored = store.events(run.id)
    assert [(number, event) for number, _, event in stored] == list(enumerate(events, 1))
    assert all(run.created <= time <= datetime.now(UTC) for _, time, _ in stored)
    assert [number for number, _, _ in store.events(run.id, after=2)] == [3, 4]


def test_the_first_notices_of_several_runs_each_once(store: Store) -> None:
    one, two, three = (store.create(PAINT).id for _ in range(3))
    for text in ("b", "a", "b", "c"):
        store.add_event(one, Notice(text=text))
        store.add_event(one, Stage(name=text))
    store.add_event(two, Notice(text="other"))
    assert store.notices_of([one, two]) == {one: ["b", "a", "c"], two: ["other"]}
    assert store.notices_of([one, three], limit=2) == {one: ["b", "a"], three: []}


def test_events_of_several_threads_and_stores_are_all_stored(store: Store, database: str | None) -> None:
    run = store.create(PAINT)
    second = Store(store.home, database)

    def add(writer: Store) -> None:
        for done in range(20):
            writer.add_event(run.id, Progress(done=done))

    threads = [threading.Thread(target=add, args=(writer,)) for writer in (store, store, second, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    second.close()
    assert [number for number, _, _ in store.events(run.id)] == list(range(1, 81))


def test_artifacts_are_found_by_run_hash_and_kind(store: Store, tmp_path: Path) -> None:
    run, other = store.create(PAINT), store.create(PAINT)
    picture = store.add_artifact(run.id, "picture", tmp_path / "p.png", "a" * 64, {"seed": 42, "tags": ["x"]})
    report = store.add_artifact(run.id, "report", "/r", "b" * 64)
    copy = store.add_artifact(other.id, "picture", "/q", "a" * 64)
    assert (picture.path, picture.details, report.details) == (str(tmp_path / "p.png"), {"seed": 42, "tags": ["x"]}, {})
    assert store.artifacts() == [copy, report, picture]
    assert store.artifacts(run.id) == [report, picture]
    assert store.artifacts(sha256="a" * 64) == [copy, picture]
    assert store.artifacts(kind="picture", limit=1) == [copy]
    assert store.artifacts(run.id, kind="picture", sha256="a" * 64) == [picture]


def test_a_run_has_a_folder_in_the_home(store: Store, tmp_path: Path) -> None:
    run = store.create(PAINT)
    assert store.folder(run.id) == tmp_path / "runs" / run.id
    assert store.folder(run.id).is_dir()


def test_a_store_without_a_home_uses_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "home"))
    store = Store()
    store.close()
    assert store.home == tmp_path / "home"
    assert (tmp_path / "home" / "limner.db").is_file()


def test_a_disk_that_fills_up_is_one_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LimnerError, match=r"no space is left for the database .*limner\.db; free some disk space"):
        for _ in range(50):
            store.create(GenerateRequest(prompt="x" * 10_000))


def test_artifacts_are_found_by_their_watermark(store: Store) -> None:
    run = store.create(GenerateRequest(prompt="x"))
    store.add_artifact(run.id, "picture", "/a.png", "0" * 64, {"mark": "00c0ffee", "seed": 1})
    store.add_artifact(run.id, "picture", "/b.png", "1" * 64, {"seed": 2})
    assert [made.path for made in store.artifacts(mark="00c0ffee")] == ["/a.png"]
    assert store.artifacts(mark="00c0ffe") == []
