"""What each command passes on, and what it prints of what it gets back."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, call, create_autospec

import pytest

from limner import GenerateRequest, Studio, SweepRequest, TrainRequest
from limner.cli.commands import service
from limner.core.accounts import Limits, Role
from limner.core.errors import Interrupted
from limner.core.events import ArtifactCreated, ArtifactKind, Notice, Stage
from limner.core.execution import Execution
from limner.core.feedback import ImageQuery, Rating, Reason
from limner.core.kinds import KINDS, RequestKind
from limner.core.runs import Run
from limner.provenance.verify import STATES, Verification, VerificationState
from limner.server.settings import Settings
from limner.starter.exam.options import ExamOptions
from limner.store.erase import EraseSelection, ErasureResult
from limner.studio.feedback import StudioFeedback
from limner.studio.images import StudioImages, Viewer
from limner.studio.maintenance import Maintenance
from limner.studio.runs import StudioRuns
from limner.studio.service import Accounts
from limner.workers.worker import Worker

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RUN = Run(id="abc123", request=GenerateRequest(prompt="a cat"), created=NOON)
MADE = (
    ArtifactCreated(
        what=ArtifactKind.SCORES, path="scores.json", sha256="0" * 64, details={"verdict": "no", "passed": False}
    ),
    ArtifactCreated(
        what=ArtifactKind.PAGE, path="index.html", sha256="0" * 64, details={"verdict": "the page", "passed": False}
    ),
    ArtifactCreated(
        what=ArtifactKind.REPORT, path="report.md", sha256="0" * 64, details={"verdict": "well", "passed": True}
    ),
)
"""What every run of these tests makes."""


def stopped(stop: Any) -> None:
    """Check that the first signal, and nothing else, stops what was started."""
    assert not stop()
    assert callable(signal.getsignal(signal.SIGTERM)), "a signal would end the tests"
    signal.raise_signal(signal.SIGTERM)
    assert stop()


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """A studio that executes nothing; its runs are interrupted by the first signal, and make MADE without one."""

    def run(*arguments: Any, listener: Any, stop: Any, **given: Any) -> Run:
        listener(Stage(name="generating", total=1))
        for made in MADE:
            listener(made)
        stopped(stop)
        return RUN

    made = create_autospec(Studio, instance=True)
    made.run.side_effect = made.reproduce.side_effect = run
    parts = {
        "runs": StudioRuns,
        "images": StudioImages,
        "feedback": StudioFeedback,
        "maintenance": Maintenance,
        "accounts": Accounts,
    }
    for name, kind in parts.items():
        setattr(made, name, create_autospec(kind, instance=True))
    monkeypatch.setattr("limner.studio.studio.Studio", lambda **given: made)
    monkeypatch.setattr(RequestKind, "load_check", lambda kind: lambda request, execution, out: None)
    return made


COMMANDS = {
    "prepare": (["photos", "--workers", 3, "--executor", "ray", "--device", "cpu"], "dataset"),
    "generate": (["a cat", "--memory", "low", "--device", "cpu"], "pictures"),
    "train": (["photos", "--class", "cat", "--preview-every", 7, "--track", "wandb", "--device", "cpu"], "sks-cat"),
    "evaluate": (["photos", "--memory", "low", "--device", "cpu"], "evaluation"),
    "compare": (["a", "b", "--prompt", "a cat", "--memory", "low", "--device", "cpu"], "comparison"),
    "sweep": (["a cat", "--axis", "guidance=1,2", "--memory", "low", "--device", "cpu"], "sweep"),
    "influence": (["--adapter", "rex", "--device", "cpu"], "influence"),
    "improve": (["rex", "--memory", "low", "--device", "cpu"], "improved"),
}
"""Arguments of each command of a request, and the folder of its result."""
GIVEN = {"workers": 3, "executor": "ray", "memory": "low", "device": "cpu", "preview_every": 7, "track": ("wandb",)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_passes_on_request_execution_and_folder(limner: Any, studio: MagicMock, kind: str) -> None:
    arguments, folder = COMMANDS[kind]
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    said = limner(kind, *arguments)
    assert said.code == 0, said.err
    request, out = studio.run.call_args.args
    assert (request.kind, out) == (kind, Path(folder))
    execution = studio.run.call_args.kwargs["execution"]
    assert execution == Execution(**{name: GIVEN[name] for name in KINDS[kind].execution})
    assert execution.model_fields_set == set(KINDS[kind].execution)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    limner(kind, *arguments, "--out", "elsewhere")
    assert studio.run.call_args.args[1] == Path("elsewhere")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("generate", "train")])
def test_a_command_prints_the_verdict_and_the_path_of_its_report(limner: Any, studio: MagicMock, kind: str) -> None:
    wanted = ["the page", "index.html"] if kind == "influence" else ["well", "report.md"]
    assert limner(kind, *COMMANDS[kind][0]).out.splitlines() == wanted


def test_an_evaluation_that_does_not_pass_exits_with_1(
    limner: Any, studio: MagicMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limner("evaluate", "photos").code == 0
    monkeypatch.setitem(MADE[-1].details, "passed", False)
    assert limner("evaluate", "photos").code == 1


def test_a_resumed_training_has_the_folder_of_its_run_unless_another_is_given(limner: Any, studio: MagicMock) -> None:
    limner("train", "photos", "--class", "cat")
    assert studio.run.call_args.args[1] == Path("sks-cat") and not studio.run.call_args.kwargs["resume"]
    limner("train", "photos", "--class", "cat", "--resume")
    assert studio.run.call_args.args[1] is None and studio.run.call_args.kwargs["resume"]
    limner("train", "photos", "--class", "cat", "--resume", "--out", "other")
    assert studio.run.call_args.args[1] == Path("other") and studio.run.call_args.kwargs["resume"]


def test_only_one_of_several_processes_runs_a_request(
    limner: Any, studio: MagicMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def assist(request: TrainRequest, *, stop: Any, execution: Execution) -> None:
        assert request.class_word == "cat" and execution == Execution(device="cpu")
        stopped(stop)

    studio.assist.side_effect = assist
    monkeypatch.setenv("RANK", "1")
    assert limner("generate", "a cat").code == 0
    said = limner("train", "photos", "--class", "cat", "--device", "cpu")
    assert (said.code, said.out, studio.assist.call_count, studio.run.called) == (0, "", 1, False), said.err
    monkeypatch.setenv("RANK", "0")
    limner("train", "photos", "--class", "cat")
    assert studio.run.called and studio.assist.call_count == 1


@pytest.mark.parametrize(
    ("arguments", "again"),
    [
        (["train", "photos", "--class", "big cat"], "limner train photos --class 'big cat' --resume"),
        (["train", "photos", "--class", "cat", "--resume"], "limner train photos --class cat --resume"),
        (["prepare", "photos"], "limner prepare photos"),
        (["generate", "a cat"], None),
    ],
)
def test_an_interrupted_run_exits_with_130_and_tells_how_to_resume(
    limner: Any, studio: MagicMock, arguments: list[str], again: str | None
) -> None:
    studio.run.side_effect = Interrupted("stopped after step 5")
    said = limner(*arguments)
    lines = [line for line in said.err.splitlines() if line.startswith("limner: ")]
    assert said.code == 130 and lines[0] == "limner: stopped after step 5"
    assert lines[1:] == ([] if again is None else [f"limner: to resume: {again}"])


def test_the_lines_of_a_file_are_values_of_an_axis_only_if_it_is_the_one_value(
    limner: Any, studio: MagicMock, tmp_path: Path
) -> None:
    (tmp_path / "prompts.txt").write_text("a cat\na dog\n")
    for values, wanted in (("prompts.txt", ("a cat", "a dog")), ("prompts.txt,a cow", ("prompts.txt", "a cow"))):
        assert limner("sweep", "--axis", f"prompt={values}", "--seeds", 2, "--guidance", 3).code == 0
        request: SweepRequest = studio.run.call_args.args[0]
        assert (request.axis[0].values, request.seeds, request.guidance) == (wanted, 2, 3.0)


def test_an_image_is_reproduced_in_the_folder_given(limner: Any, studio: MagicMock) -> None:
    said = limner("run", "1.png")
    assert studio.reproduce.call_args.args == (Path("1.png"), Path("pictures"))
    assert said.code == 0 and "details: limner show abc123" in said.err
    limner("run", "1.png", "--out", "again")
    assert studio.reproduce.call_args.args == (Path("1.png"), Path("again"))


def test_twenty_runs_are_listed_unless_told_otherwise(limner: Any, studio: MagicMock) -> None:
    studio.runs.list.return_value = []
    limner("runs")
    limner("runs", "--count", 3)
    assert [call.args for call in studio.runs.list.call_args_list] == [(20,), (3,)]


def test_the_notices_shown_are_those_of_the_run_that_was_found(limner: Any, studio: MagicMock) -> None:
    studio.runs.show.return_value = RUN, []
    studio.runs.events.side_effect = lambda run: [(1, NOON, Notice(text=f"of {run}"))]
    said = limner("show", "abc")
    studio.runs.show.assert_called_once_with("abc")
    assert "  of abc123" in said.out.splitlines()


@pytest.mark.parametrize(
    ("states", "code"),
    [(["ours", "trusted"], 0), (["changed", "ours"], 1), (["ours", "foreign"], 1)],
)
def test_one_image_that_is_not_good_decides_the_exit_code(
    limner: Any, studio: MagicMock, states: list[str], code: int
) -> None:
    found = map(VerificationState, states)
    studio.images.verify.side_effect = [Verification(state=it, message=STATES[it], unchanged=True) for it in found]
    said = limner("verify", "1.png", "2.png")
    assert said.code == code and [call.args for call in studio.images.verify.call_args_list] == [
        (Path("1.png"),),
        (Path("2.png"),),
    ]
    assert [f": {state}, " in said.out for state in states] == [True, True]


def test_images_are_listed_by_the_query_typed_whoever_made_them(limner: Any, studio: MagicMock) -> None:
    studio.images.list.return_value = []
    limner(
        "history", "--search", "dog", "--favourite", "--limit", 3, "--tag", "breed=corgi", "--tag", "background=park"
    )
    tags = ("breed=corgi", "background=park")
    query = ImageQuery(search="dog", favourite=True, limit=3, tag=tags)
    studio.images.list.assert_called_once_with(Viewer(), query)


def test_a_rating_has_its_stars_reasons_and_comment(limner: Any, studio: MagicMock) -> None:
    studio.feedback.named.return_value = [7, 9]
    said = limner("rate", "7", "b.png", 2, "--reason", "blurred", "--reason", "artefacts", "--comment", "dull")
    rating = Rating(stars=2, reasons=(Reason.ARTEFACTS, Reason.BLURRED), comment="dull")
    studio.feedback.named.assert_called_once_with(["7", "b.png"])
    assert studio.feedback.rate.call_args_list == [call(Viewer(), 7, rating), call(Viewer(), 9, rating)]
    assert "2 stars" in said.out


def test_feedback_is_exported_as_asked(limner: Any, studio: MagicMock) -> None:
    limner("feedback", "export", "a.parquet", "--kind", "pairs", "--stars", "--embed", "bytes")
    limner("feedback", "export", "a.jsonl")
    assert [call.args for call in studio.feedback.export_file.call_args_list] == [
        (Path("a.parquet"), "pairs", True, "bytes"),
        (Path("a.jsonl"), "ratings", False, "no"),
    ]


def test_a_key_has_the_role_the_limits_and_the_days_given(limner: Any, studio: MagicMock) -> None:
    studio.accounts.add_key.return_value = None, "secret"
    limits = ["--per-minute", 1, "--pictures-per-day", 2, "--kept-bytes", 3]
    assert limner("keys", "add", "anna", "--role", "viewer", "--days", 4, *limits).out == "secret\n"
    limner("keys", "add", "anna")
    assert [call.args for call in studio.accounts.add_key.call_args_list] == [
        ("anna", Role.VIEWER, Limits(per_minute=1, pictures_per_day=2, kept_bytes=3), 4),
        ("anna", None, Limits(), None),
    ]


def test_a_key_is_revoked_and_an_account_changes_its_role(limner: Any, studio: MagicMock) -> None:
    studio.accounts.revoke.return_value.id = "k1"
    assert limner("keys", "revoke", "k1").out == "k1 is revoked\n"
    studio.accounts.revoke.assert_called_once_with("k1")
    assert limner("keys", "role", "anna", "admin").code == 0
    studio.accounts.change_role.assert_called_once_with("anna", Role.ADMIN)


def test_a_worker_takes_its_limits_and_its_log_format(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    formats, workers = list[str](), list[Any]()

    def work(worker: Worker, stop: Any) -> None:
        stopped(stop)
        workers.append((worker.together, worker.seconds, worker.kinds))

    monkeypatch.setattr("limner.core.logs.configure", formats.append)
    monkeypatch.setattr(Worker, "work", work)
    service.worker()
    service.worker(log="json", together=3, run_seconds=1.5, quick=True, parent=os.getppid())
    assert (formats, workers) == (["text", "json"], [(8, None, None), (3, 1.5, {"prepare"})])


def test_the_service_stops_at_the_first_signal(limner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(settings: Settings, say: Any, stop: Any, create: Any) -> None:
        assert settings.port == 9999
        stopped(stop)

    monkeypatch.setattr("limner.server.serve.serve", serve)
    said = limner("serve", "--port", 9999)
    assert said.code == 0 and "running requests go back into the queue" in said.err


def test_a_backup_is_written_and_read_where_it_was_typed(
    limner: Any, studio: MagicMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    studio.maintenance.backup.side_effect = lambda path, listener: listener(Notice(text="3 runs"))
    studio.maintenance.restore.side_effect = lambda path, *, replace, listener: listener(Notice(text="4 runs"))
    said = limner("backup", "b.zip")
    assert said.out == "b.zip\n" and "3 runs" in said.err
    assert studio.maintenance.backup.call_args.args[0] == tmp_path / "b.zip"
    limner("backup", "~/b.zip")
    assert studio.maintenance.backup.call_args.args[0] == tmp_path / "me/b.zip"
    assert "4 runs" in limner("restore", "~/b.zip").err
    assert studio.maintenance.restore.call_args.args[0] == tmp_path / "me/b.zip"
    assert studio.maintenance.restore.call_args.kwargs["replace"] is False
    limner("restore", "b.zip", "--replace")
    assert studio.maintenance.restore.call_args.args[0] == tmp_path / "b.zip"
    assert studio.maintenance.restore.call_args.kwargs["replace"] is True


def test_what_is_erased_is_told_apart_by_its_form(limner: Any, studio: MagicMock) -> None:
    studio.maintenance.erase.return_value = ErasureResult()
    what = ["abc", f"sha256:{'0' * 64}", f"folder:{'1' * 64}", "owner:anna", "image:75"]
    assert limner("erase", *what).out == "erased: 0 runs, 0 files (0.0 MB)\n"
    selection = EraseSelection(runs=("abc",), images=(75,), references=tuple(what[1:3]), owner="anna")
    studio.maintenance.erase.assert_called_once_with(selection, derived=False, dry=False)
    assert limner("erase", "abc", "--derived", "--dry-run").out.startswith("would be erased: 0 runs")
    studio.maintenance.erase.assert_called_with(EraseSelection(runs=("abc",)), derived=True, dry=True)
    for wrong in (["owner:"], ["owner:anna", "owner:ben"], ["abc", "owner:"]):
        assert "give one owner" in limner("erase", *wrong).error
    for wrong in ("image:", "image:x", "image:-1", "image:9999999999"):
        assert "is not the id of an image; write image:75" in limner("erase", wrong).error
    assert studio.maintenance.erase.call_count == 2


def test_what_was_erased_is_counted_and_the_beginning_of_each_list_printed(limner: Any, studio: MagicMock) -> None:
    runs, derived = [f"r{number}" for number in range(20)], [f"d{number}" for number in range(1022)]
    files = [f"f{number}" for number in range(1234)]
    studio.maintenance.erase.return_value = ErasureResult(
        runs, derived, ["u"], files, 2_345_678_900, ["/a/1.png", "/a/2.png"], 1500
    )
    assert limner("erase", "r0").out.splitlines() == [
        *(f"run {run}" for run in runs),
        *(f"derived run {run}" for run in derived[:20]),
        "and 1,002 more",
        "upload u",
        "not erased: /a/1.png",
        "not erased: /a/2.png",
        "erased: 1,042 runs, 1,234 files (2,345.7 MB), 1,500 files that nothing referred to",
    ]


@pytest.mark.parametrize(("age", "hours"), [("12h", 12), ("2d", 48), ("3w", 504), ("36500d", 876_000), (None, None)])
def test_old_runs_are_pruned_except_what_is_kept(
    limner: Any, studio: MagicMock, age: str | None, hours: int | None
) -> None:
    studio.maintenance.prune.return_value = ErasureResult()
    kept = ["--keep", "sha256:1", "--keep", "folder:2"]
    said = limner("prune", *(["--older-than", age] if age else []), *kept)
    assert said.out.startswith("erased: ")
    wanted = None if hours is None else timedelta(hours=hours)
    studio.maintenance.prune.assert_called_once_with(wanted, protected=("sha256:1", "folder:2"))


@pytest.mark.parametrize("age", ["36501d", "5215w", "876001h", "1y", "d", "-1d", " 1d"])
def test_an_age_has_a_unit_and_is_at_most_a_century(limner: Any, studio: MagicMock, age: str) -> None:
    assert limner("prune", f"--older-than={age}").error == f"{age!r} is not an age; write 12h, 30d or 8w"
    assert not studio.maintenance.prune.called


def test_votes_and_scores_are_read_from_every_file(limner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[Any]()

    def answer(files: Any, folder: Path) -> Any:
        asked.append((files, folder))
        found = MagicMock(ranks=(), verdict="the first is better")
        return found if folder.name == "comparison" else (found, Path("opinions.html"))

    monkeypatch.setattr("limner.studio.feedback.rank", answer)
    monkeypatch.setattr("limner.studio.feedback.summarise_opinions", answer)
    assert limner("rank", "1.json", "2.json").out.splitlines()[-1] == "the first is better"
    assert limner("opinions", "1.json", "2.json").out.splitlines() == ["the first is better", "opinions.html"]
    both = Path("1.json"), Path("2.json")
    assert asked == [(both, Path("comparison")), (both, Path("evaluation"))]


def test_a_model_is_fetched_with_its_progress_shown(limner: Any, studio: MagicMock) -> None:
    def fetch(model: str, *, listener: Any) -> Path:
        listener(Notice(text="2 files"))
        return Path("cache") / model

    studio.fetch.side_effect = fetch
    said = limner("models", "get", "who/tiny")
    assert said.out == "cache/who/tiny\n" and "2 files" in said.err


@pytest.mark.parametrize("personalise", [False, True])
def test_an_exam_examines_what_was_asked_and_is_recorded_on_request(
    limner: Any, monkeypatch: pytest.MonkeyPatch, personalise: bool
) -> None:
    done = list[Any]()

    def examine(out: Path, options: ExamOptions, listener: Any, stop: Any) -> Any:
        listener(Notice(text="a notice"))
        stopped(stop)
        done.append((out, options))
        return lambda: print("the scores")

    def refuse(*given: Any) -> Any:
        pytest.fail("this is the other exam")

    exams = "limner.starter.exam.exam.print_exam", "limner.starter.exam.personalise.print_personalisation"
    monkeypatch.setattr(exams[personalise], examine)
    monkeypatch.setattr(exams[not personalise], refuse)
    monkeypatch.setattr("limner.starter.exam.exam.record_exam", lambda out, options: done.append(("record", options)))
    flags = ["--model", "other", *(["--personalise"] if personalise else [])]
    options = ExamOptions(model="other", personalise=personalise)
    said = limner("starter", "exam", *flags)
    assert said.out == "the scores\n" and "a notice" in said.err, said.err
    limner("starter", "exam", *flags, "--out", "exam", "--record")
    assert done == [(Path("limner-exam"), options), (Path("exam"), options), ("record", options)]


def test_other_commands_of_the_starter_pass_on_folder_and_model(limner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    done = list[Any]()

    def sheet(out: Path, listener: Any, stop: Any, model: str) -> Path:
        listener(Notice(text="a notice"))
        stopped(stop)
        done.append((out, model))
        return out

    def agreement(out: Path, options: ExamOptions, listener: Any, stop: Any) -> Any:
        sheet(out, listener, stop, options.model)
        return lambda: print("the correlations")

    def demo(out: Path, listener: Any, stop: Any) -> Path:
        return sheet(out, listener, stop, "starter") / "index.html"

    monkeypatch.setattr("limner.starter.exam.sheet.write_showcase", sheet)
    monkeypatch.setattr("limner.starter.exam.agreement.print_agreement", agreement)
    monkeypatch.setattr("limner.starter.demo.run_demo", demo)
    said = [limner("starter", "sheet"), limner("starter", "sheet", "--out", "a.png", "--model", "m")]
    said += [limner("starter", "agreement"), limner("starter", "agreement", "--out", "a", "--model", "m")]
    said += [limner("demo"), limner("demo", "--out", "d")]
    printed = [each.out.strip() for each in said]
    pages = [Path("limner-demo/index.html"), Path("d/index.html")]
    assert printed == [
        "starter.png",
        "a.png",
        *["the correlations"] * 2,
        *(f"{page}\nOpen it in a browser: {page.resolve().as_uri()}" for page in pages),
    ]
    assert done == [
        (Path("starter.png"), "starter"),
        (Path("a.png"), "m"),
        (Path("limner-agreement"), "starter"),
        (Path("a"), "m"),
        (Path("limner-demo"), "starter"),
        (Path("d"), "starter"),
    ]
    assert all("a notice" in each.err for each in said)


def trained(limner: Any, studio: MagicMock, *arguments: Any) -> TrainRequest:
    """The request of `limner train` with these arguments."""
    said = limner("train", *arguments)
    assert said.code == 0, said.err
    return studio.run.call_args.args[0]


@pytest.mark.parametrize("typed", [["--method", "textual_inversion"], ["--method=textual_inversion"]])
def test_the_method_that_is_typed_decides_which_options_there_are(
    limner: Any, studio: MagicMock, typed: list[str]
) -> None:
    request = trained(limner, studio, "photos", "--class", "cat", *typed, "--vectors", 3)
    assert (request.method, request.options) == ("textual_inversion", {"vectors": 3})
    assert limner("train", "photos", "--class", "cat", *typed, "--rank", 3).code == 2
    assert limner("train", "photos", "--class", "cat", "--vectors", 3).code == 2
    assert trained(limner, studio, "photos", "--class", "cat", "--rank", 3).options == {"rank": 3}


def test_the_method_of_a_recipe_decides_unless_another_is_typed(limner: Any, studio: MagicMock, tmp_path: Path) -> None:
    recipe = "method: textual_inversion\nclass_word: cat\noptions: {vectors: 2}\nbatch: 5\n"
    (tmp_path / "own.yaml").write_text(recipe)
    assert trained(limner, studio, "photos", "--recipe", "own.yaml").options == {"vectors": 2}
    request = trained(limner, studio, "photos", "--recipe", "own.yaml", "--vectors", 3, "--class", "dog")
    assert (request.options, request.class_word, request.batch) == ({"vectors": 3}, "dog", 5)
    request = trained(limner, studio, "photos", "--recipe", "own.yaml", "--method", "lora", "--rank", 3)
    assert (request.method, request.options, request.batch) == ("lora", {"rank": 3}, 5)


def test_an_unknown_or_wrong_option_of_a_recipe_is_refused(limner: Any, studio: MagicMock, tmp_path: Path) -> None:
    for options, said in (("{ranks: 2}", "this method has no option 'ranks'; it has rank,"), ("{rank: -2}", "--rank")):
        (tmp_path / "own.yaml").write_text(f"class_word: cat\noptions: {options}\n")
        assert limner("train", "photos", "--recipe", "own.yaml").error.startswith(said)
    assert not studio.run.called


def test_every_document_of_a_recipe_is_generated_with_the_flags_typed(
    limner: Any, studio: MagicMock, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text("prompt: a cat\nseed: 3\n---\n\n---\nprompt: a dog\nsteps: 9\n")
    limner("generate", "--recipe", "own.yaml", "--steps", 5)
    asked = [call.args[0] for call in studio.run.call_args_list]
    assert asked == [GenerateRequest(prompt="a cat", seed=3, steps=5), GenerateRequest(prompt="a dog", steps=5)]
    (tmp_path / "own.yaml").write_text("class_word: cat\n---\nclass_word: dog\n")
    assert limner("train", "photos", "--recipe", "own.yaml").error == (
        "recipe 'own.yaml' holds 2 requests; keep one document in the file"
    )
    (tmp_path / "own.yaml").write_text("prompt: a cat\n---\nprompt: a dog\nsteppes: 9\n")
    assert "has an unknown field 'steppes'; did you mean 'steps'?" in limner("generate", "--recipe", "own.yaml").error


def test_none_is_no_value_only_where_there_need_not_be_one(limner: Any, studio: MagicMock, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("scheduler: euler\nsteps: 9\nvae: who/vae\n")
    typed = ["--scheduler", "none", "--steps", "none", "--negative-prompt", "none"]
    assert limner("generate", "none", "--recipe", "own.yaml", *typed).code == 0
    wanted = GenerateRequest(prompt="none", negative_prompt="none", vae="who/vae", scheduler=None, steps=None)
    assert studio.run.call_args.args[0] == wanted


def test_a_flag_or_command_that_is_nearly_right_is_suggested(limner: Any) -> None:
    assert "unknown flag '--stepz'; did you mean '--steps'?" in limner("generate", "a cat", "--stepz", 3).error
    for typed, meant in (("trainn", "train"), ("histroy", "history")):
        assert f"unknown command {typed!r}; did you mean {meant!r}?" in limner(typed).error


def test_relative_paths_in_the_environment_stay_those_of_the_folder_it_was_set_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    names = {"HF_HOME": "new", "XDG_CACHE": "new", "OWN_DIR": "new", "OWN_PLACE": "there", "OWN_WORD": "new"}
    for name, value in (names | {"ABSOLUTE_HOME": "/new", "NO_HOME": ""}).items():
        monkeypatch.setenv(name, value)
    with service.empty_folder():
        assert not any(Path.cwd().iterdir()) and Path.cwd() != tmp_path
        found = {name: os.environ[name] for name in (*names, "ABSOLUTE_HOME", "NO_HOME")}
    new = str(tmp_path / "new")
    assert Path.cwd() == tmp_path and found == {
        "HF_HOME": new,
        "XDG_CACHE": new,
        "OWN_DIR": new,
        "OWN_PLACE": str(tmp_path / "there"),
        "OWN_WORD": "new",
        "ABSOLUTE_HOME": "/new",
        "NO_HOME": "",
    }
