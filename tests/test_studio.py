"""Tests of the studio: limits of queued requests, uploads, and resumed runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from limner.core.accounts import Caller, Limits, Role
from limner.core.errors import LimnerError, QuotaExceeded
from limner.core.events import Notice
from limner.core.execution import Execution
from limner.core.moderation import Policy, RequestRefused
from limner.core.requests import CompareRequest, GenerateRequest, TrainRequest
from limner.core.runs import Run, Status
from limner.store.files import sha256_of
from limner.store.runs import Store
from limner.studio import studio as studio_module
from limner.studio.studio import Studio

ANN, BOB, ROOT = Caller(account="ann", role=Role.MAKER), Caller(account="bob", role=Role.MAKER), Caller(account="root")


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    found = Studio(home, most_pixels=512 * 512)
    yield found
    found.store.close()


def test_the_number_of_pixels_is_limited(studio: Studio) -> None:
    studio.enqueue(GenerateRequest(prompt="a", width=512, height=512))
    studio.enqueue(GenerateRequest(prompt="a", width=256, height=256, hires=2.0))
    for larger in ({"width": 512, "height": 513}, {"width": 513}, {"width": 256, "height": 256, "hires": 2.1}):
        with pytest.raises(LimnerError, match="the limit is 262,144; request a smaller one"):
            studio.enqueue(GenerateRequest.model_validate({"prompt": "a", **larger}))


def test_a_caller_may_name_only_its_own_files(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a picture")
    mine = studio.files.upload(tmp_path / "a.png", ANN)
    request = GenerateRequest(prompt="a", image=mine)
    with pytest.raises(LimnerError, match=r"is not yours; upload it"):
        studio.enqueue(request, caller=BOB)
    assert studio.enqueue(request, caller=BOB, granted=[mine]).owner == "bob"
    for caller in (ANN, ROOT, None):
        run = studio.enqueue(request, caller=caller)
        assert run.owner == ("" if caller is None else caller.account)
    with pytest.raises(LimnerError, match="is not yours"):
        studio.enqueue(GenerateRequest(prompt="a", image="sha256:" + "0" * 64), caller=ANN)


def test_a_retry_checks_the_callers_grants(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a picture")
    mine = studio.files.upload(tmp_path / "a.png", ANN)
    run = studio.enqueue(GenerateRequest(prompt="a", image=mine), caller=ANN)
    studio.store.update(run.id, status=Status.FAILED)
    with pytest.raises(LimnerError, match="is not yours"):
        studio.retry(studio.store.get(run.id), BOB)
    assert studio.store.get(run.id).status is Status.FAILED
    assert studio.retry(studio.store.get(run.id), ANN).status is Status.QUEUED


def test_an_upload_over_the_quota_is_refused(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    for name in ("a", "deep/b"):
        (tmp_path / "data" / name).write_bytes(b"x" * 50)
    who = ANN.model_copy(update={"limits": Limits(kept_bytes=150)})
    large = ANN.model_copy(update={"limits": Limits(kept_bytes=10**6)})
    (tmp_path / "c").write_bytes(b"c" * 151)
    with pytest.raises(QuotaExceeded, match="151 bytes more than the 0"):
        studio.files.upload(tmp_path / "c", who)
    assert list(studio.files) == [], "what is refused is not written either"
    folder = studio.files.upload(tmp_path / "data", large)
    held = {holding.reference: holding.bytes for holding in studio.files.grants.list("ann")}
    assert held == {folder: 100}, "folders themselves take nothing"


def test_a_file_that_is_erased_during_the_upload_is_restored(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"a picture")
    add = studio.files.grants.add

    def erased_before(who: Caller, reference: str, size: int) -> None:
        studio.files.remove(reference.removeprefix("sha256:"))
        add(who, reference, size)

    monkeypatch.setattr(studio.files.grants, "add", erased_before)
    assert studio.files.local_path(studio.files.upload(tmp_path / "a", ANN)).read_bytes() == b"a picture"


def test_the_newest_run_with_a_checkpoint_is_resumed(studio: Studio, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "dog.png")
    request = TrainRequest(data=str(tmp_path), class_word="dog")
    runs = [studio.submit(request) for _ in range(3)]
    for run in runs:
        studio.store.update(run.id, status=Status.INTERRUPTED)
    assert studio._to_resume(runs[0].request).id == runs[2].id, "none has a checkpoint: the newest"
    for run in runs[:2]:
        (studio.store.folder(run.id) / "checkpoint-00000010").mkdir()
    assert studio._to_resume(runs[0].request).id == runs[1].id
    with pytest.raises(LimnerError, match="there is no interrupted run of this request"):
        studio._to_resume(request.model_copy(update={"seed": 7}))


class Executed:
    """Takes the place of execution in this process: what it was given, and an event that it sends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, studio: Studio) -> None:
        self.runs, self.out, self.given, self.heard = list[Run](), None, dict[str, Any](), list[Any]()
        self.studio = studio
        monkeypatch.setattr(studio_module, "execute_here", self.execute)

    def execute(self, store: Store, runs: Sequence[Run], out: Path | None = None, **given: Any) -> None:
        assert store is self.studio.store
        self.runs, self.out, self.given = [*runs], out, given
        given["listener"](len(runs) - 1, Notice(text="made"))

    def hear(self, *heard: Any) -> None:
        self.heard.append(heard)


def stop() -> bool:
    return False


@pytest.fixture
def executed(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Executed:
    return Executed(monkeypatch, studio)


LOW = Execution(memory="low")


def test_a_run_here_is_recorded_with_all_that_was_asked(
    studio: Studio, executed: Executed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    parent = studio.submit(GenerateRequest(prompt="b"))
    request = GenerateRequest(prompt="a", image="a.png")
    done = studio.run(request, "out", parent=parent.id, execution=LOW, listener=executed.hear, stop=stop)
    (run,) = executed.runs
    assert (run.id, run.out, run.parent, run.execution) == (done.id, str(tmp_path / "out"), parent.id, LOW)
    assert run.request == request.model_copy(update={"image": str(tmp_path / "a.png")})
    assert executed.out is None and executed.heard == [(Notice(text="made"),)]
    assert executed.given["stop"] is stop and not executed.given["resume"] and executed.given["batch"] is None


def test_a_run_is_resumed_with_another_execution_and_folder(studio: Studio, executed: Executed, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "photos" / "dog.png")
    request = TrainRequest(data=str(tmp_path / "photos"), class_word="dog")
    interrupted = studio.submit(request, tmp_path / "recorded")
    studio.store.update(interrupted.id, status=Status.INTERRUPTED)
    for out, sent in ((None, None), (tmp_path / "other", tmp_path / "other")):
        studio.run(request, out, resume=True, execution=LOW, listener=executed.hear, stop=stop)
        (run,) = executed.runs
        assert (run.id, run.execution, executed.out) == (interrupted.id, LOW, sent)
        assert executed.given["resume"] and executed.given["stop"] is stop
    assert executed.heard == [(Notice(text="made"),)] * 2 and len(studio.runs.list()) == 1
    studio.run(request, resume=True)
    assert executed.runs[0].execution == LOW, "what was recorded, unless it is said"


def test_the_runs_of_a_batch_share_a_folder(studio: Studio, executed: Executed, tmp_path: Path) -> None:
    requests = [GenerateRequest(prompt=name) for name in "ab"]
    runs = studio.run_batch(requests, tmp_path / "out", listener=executed.hear, stop=stop)
    assert [run.id for run in runs] == [run.id for run in executed.runs]
    assert [(run.request, run.out) for run in runs] == [(request, str(tmp_path / "out")) for request in requests]
    assert executed.heard == [(1, Notice(text="made"))] and executed.given["stop"] is stop


def test_an_image_is_reproduced_as_its_label_says(
    studio: Studio, executed: Executed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(b"a picture")
    made = studio.submit(GenerateRequest(prompt="a"))
    for name in ("a", "b"):
        studio.store.add_artifact(made.id, "picture", tmp_path / f"{name}.png", sha256_of(tmp_path / "a.png"))
    asked: list[Any] = []

    def request_of_image(image: Path, places: Any, emit: Any, *, read_files: bool) -> Any:
        asked.extend([image, places(sha256_of(image)), emit, read_files])
        return GenerateRequest(prompt="again"), LOW, 4

    monkeypatch.setattr("limner.engine.generate.reproduce.request_of_image", request_of_image)
    again = studio.reproduce(str(tmp_path / "a.png"), tmp_path / "out", listener=executed.hear, stop=stop)
    assert asked == [tmp_path / "a.png", [str(tmp_path / "b.png"), str(tmp_path / "a.png")], executed.hear, False]
    assert (again.parent, again.execution, again.out) == (made.id, LOW, str(tmp_path / "out"))
    assert executed.given["batch"] == 4 and executed.given["stop"] is stop
    assert executed.heard == [(Notice(text="made"),)]
    (tmp_path / "c.png").write_bytes(b"of another studio")
    assert studio.reproduce(tmp_path / "c.png").parent is None


def test_a_secondary_process_has_the_execution_but_records_nothing(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("limner.engine.execute.execute", lambda *given: seen.extend(given))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    request = TrainRequest(data="data", class_word="dog")
    studio.assist(request, stop=stop, execution=LOW)
    given, workspace, emit = seen
    assert given == request.model_copy(update={"data": str(tmp_path / "data")})
    assert (workspace.stop, workspace.home, workspace.execution) == (stop, studio.home, LOW)
    assert workspace.cache == studio.home / "cache" and emit(Notice(text="x")) is None
    assert studio.runs.list() == []
    with pytest.raises(LimnerError, match="rnak"):
        studio.assist(TrainRequest(data="data", class_word="dog", options={"rnak": 2}))


def test_a_queued_run_is_recorded_with_all_that_was_asked(studio: Studio) -> None:
    parent = studio.enqueue(GenerateRequest(prompt="b"))
    run = studio.enqueue(
        GenerateRequest(prompt="a"),
        queue="other",
        priority=3,
        parent=parent.id,
        tags={"style": "photo"},
        caller=ANN,
        execution=LOW,
    )
    assert (run.queue, run.priority, run.parent, run.tags) == ("other", 3, parent.id, {"style": "photo"})
    assert (run.owner, run.execution, run.policy) == ("ann", LOW, studio.gate.moderator.policy.digest)
    assert (parent.queue, parent.priority, parent.tags, parent.owner) == ("default", 0, {}, "")
    (verdict,) = studio.verdicts.list(10, run=run.id)
    assert (verdict.owner, verdict.allowed) == ("ann", True)
    with pytest.raises(RequestRefused):
        studio.enqueue(GenerateRequest(prompt="a wall with a sw\u0430stika"), caller=ANN)
    refused = studio.verdicts.list(1)[0]
    assert (refused.owner, refused.run, refused.allowed) == ("ann", None, False)


def test_a_queued_request_holds_the_prompts_of_its_file(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a cat\na dog\n")
    request = CompareRequest(contestants=("starter", "sd15"), prompts=studio.files.upload(tmp_path / "prompts.txt"))
    assert studio.enqueue(request).request.prompt == ("a cat", "a dog")  # type: ignore[union-attr]
    here = CompareRequest(contestants=("starter", "sd15"), prompts=str(tmp_path / "prompts.txt"))
    assert studio.submit(here).request.prompt == ("a cat", "a dog")  # type: ignore[union-attr]


def test_a_retry_is_moderated_by_the_policy_of_today(studio: Studio, home: Path) -> None:
    run = studio.enqueue(GenerateRequest(prompt="a mug of the rival brand"), caller=ANN)
    studio.store.update(run.id, status=Status.FAILED)
    words = {"check": "words", "options": {"add": ["rival brand"]}}
    for policy, allowed in ((Policy.model_validate({"prompt": [words]}), False), (Policy(keep_text=True), True)):
        today = Studio(home, policy=policy)
        before = len(today.verdicts.list(99))
        if not allowed:
            with pytest.raises(RequestRefused):
                today.retry(run, ANN)
        else:
            assert today.retry(run, ANN).policy == policy.digest != run.policy
        newest = today.verdicts.list(1)[0]
        assert (newest.run, newest.owner, newest.allowed) == (run.id, "ann", allowed)
        assert newest.policy == policy.digest and len(today.verdicts.list(99)) == before + 1
        today.close()


def test_a_retry_uses_what_was_granted_and_the_quota_of_the_caller(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a picture")
    granted = [studio.files.upload(tmp_path / "a.png")]
    run = studio.enqueue(GenerateRequest(prompt="a", image=granted[0]), caller=ANN, granted=granted)
    studio.store.update(run.id, status=Status.FAILED)
    with pytest.raises(LimnerError, match="is not yours"):
        studio.retry(run, ANN)
    limited = ANN.model_copy(update={"key": "0" * 12, "limits": Limits(pictures_per_day=1)})
    assert studio.retry(run, limited, granted).status is Status.QUEUED
    studio.store.update(run.id, status=Status.FAILED)
    with pytest.raises(QuotaExceeded):
        studio.retry(run, limited, granted)


def test_files_are_stored_where_the_argument_or_the_environment_says(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_FILES", str(tmp_path / "environment"))
    assert Studio(home, files=str(tmp_path / "argument")).files.url == str(tmp_path / "argument")
    assert Studio(home).files.url == str(tmp_path / "environment")
    monkeypatch.delenv("LIMNER_FILES")
    assert Studio(home).files.url == str(home / "files")


def test_the_key_that_signs_is_in_the_studios_own_folder(tmp_path: Path, home: Path) -> None:
    studio = Studio(tmp_path / "own")
    studio.check_credentials()
    assert [*(tmp_path / "own" / "credentials").iterdir()] and not (home / "credentials").exists()
    studio.close()


def test_a_download_reports_to_the_listener(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("limner.models.catalog.fetch", lambda *given: asked.append(given) or Path("/model"))
    assert studio.fetch("sdxl", listener=print) == Path("/model") and asked == [("sdxl", print)]


def test_a_run_whose_program_is_gone_was_interrupted_at_its_last_event(studio: Studio) -> None:
    began = datetime.now(UTC) - timedelta(hours=1)
    silent, talking = (studio.submit(GenerateRequest(prompt=name)) for name in "ab")
    queued = studio.enqueue(GenerateRequest(prompt="c"))
    for run in (silent, talking, queued):
        studio.store.folder(run.id)  # the program that executes it creates it
        studio.store.update(run.id, status=Status.RUNNING, started=began)
    for text in ("first", "last"):
        studio.store.add_event(talking.id, Notice(text=text))
    last = studio.store.events(talking.id)[-1][1]
    shown = {run.id: (run.status, run.finished, run.error) for run in studio.runs.list()}
    gone = "the program that executed it ended"
    assert shown[silent.id] == (Status.INTERRUPTED, began, gone)
    assert shown[talking.id] == (Status.INTERRUPTED, last, gone)
    assert shown[queued.id] == (Status.RUNNING, None, None), "a worker has it"
    for show in (studio.runs.get, lambda run: studio.runs.show(run)[0]):
        studio.store.update(silent.id, status=Status.RUNNING)
        assert show(silent.id).status is Status.INTERRUPTED


def test_a_run_that_ends_while_it_is_looked_at_is_done(studio: Studio) -> None:
    run = studio.submit(GenerateRequest(prompt="a"))
    running = studio.store.update(run.id, status=Status.RUNNING)
    studio.store.folder(run.id)
    studio.store.update(run.id, status=Status.DONE)
    assert studio.runs.settled(running).status is Status.DONE


def test_a_run_of_the_command_line_of_another_machine_is_left_to_it(studio: Studio) -> None:
    """Machines that share a database do not see each other's locks, and a run's folder is only where it is executed."""
    run = studio.submit(GenerateRequest(prompt="a"))
    studio.store.update(run.id, status=Status.RUNNING)
    assert studio.runs.get(run.id).status is Status.RUNNING
    assert [each.status for each in studio.runs.list()] == [Status.RUNNING]


def test_runs_events_and_artifacts_are_filtered(studio: Studio) -> None:
    ids = [studio.enqueue(GenerateRequest(prompt=f"{number}"), caller=ANN).id for number in range(21)]
    here, bobs = (
        studio.submit(GenerateRequest(prompt="a")).id,
        studio.enqueue(GenerateRequest(prompt="b"), caller=BOB).id,
    )
    newest = [bobs, here, *ids[::-1]]
    assert [run.id for run in studio.runs.list()] == newest[:20]
    assert [run.id for run in studio.runs.list(2, before=here)] == newest[2:4]
    assert [run.id for run in studio.runs.list(2, queue="default")] == [bobs, ids[-1]]
    assert [run.id for run in studio.runs.list(2, owner="ann", queue="default")] == newest[2:4]
    for text in ("one", "two", "three"):
        studio.store.add_event(here, Notice(text=text))
    assert [number for number, _, _ in studio.runs.events(here, 1)] == [2, 3]
    for kind in ("picture", "copy"):
        studio.store.add_artifact(here, kind, f"/{kind}.png", "0" * 64)
    assert [made.kind for made in studio.runs.artifacts(here, "picture")] == ["picture"]
    assert len(studio.runs.artifacts(here)) == 2


@pytest.mark.parametrize("side", ["width", "height"])
def test_a_comparison_of_one_side_counts_a_square(studio: Studio, side: str) -> None:
    request = CompareRequest.model_validate({"contestants": ["starter", "sd15"], "prompt": ["a cat"], side: 520})
    assert request.pixels == 520 * 520
    with pytest.raises(LimnerError, match="270,400 pixels"):
        studio.enqueue(request)
