"""Improvements from the request to the result: what is written, recorded and said, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from limner import Execution, ImproveRequest, Interrupted, LimnerError
from limner.core.events import ArtifactCreated, Notice, Stage
from limner.core.improve import ImprovementRecord
from limner.core.metrics import MetricResult
from limner.core.moderation import RequestRefused
from limner.core.preferences import Feedback, FeedbackSelection, Judgement, Preference
from limner.engine.improve import improve as improving
from limner.engine.improve.decision import measured
from limner.engine.improve.evaluation import ComparedImages, Evaluation
from limner.engine.improve.improve import improve
from limner.engine.improve.training import TrainedAdapter
from limner.models.adapters import open_adapter
from limner.models.options import LORA_FILE
from limner.provenance.labels import read_label
from limner.store.files import sha256_of

DONE = []
PROMPTS = tuple(f"a photo of sks dog {place}" for place in ("on a beach", "in snow", "at home", "in a park"))


@pytest.fixture
def feedback(judged, original):
    """A pair of each of four prompts, of images of the original, by two raters, and ratings of the first two images."""
    adapters = (open_adapter(str(original)).sha256,)
    images = [
        image.model_copy(update={"prompt": PROMPTS[number // 2], "adapters": adapters})
        for number, image in enumerate(judged)
    ]
    pairs = tuple(
        Preference(
            better=images[number], worse=images[number + 1], rater="ab"[number // 2 % 2], reasons=("off_prompt",)
        )
        for number in (0, 2, 4, 6)
    )
    ratings = (Judgement(image=images[0], stars=5, rater="a"), Judgement(image=images[1], stars=2, rater="b"))
    return Feedback(pairs=pairs, ratings=ratings, left_out=("2 pairs: the images belong to two prompts",))


@pytest.fixture
def asked(original, tiny_sd):
    def make(**fields):
        plain = {"target": str(original), "count": 2, "steps": 2, "batch": 2, "learning_rate": 1e-2, "held_out": 0.3}
        return ImproveRequest.model_validate(plain | fields)

    return make


@pytest.fixture
def trained(monkeypatch, original):
    """Trainings that copy the original; the margins of held-out pairs are those in the list."""
    margins = [1.0] * 30

    def copy(job, learning, emit):
        folder = job.workspace.folder / "improved"
        shutil.copytree(original, folder, dirs_exist_ok=True)
        file = folder / LORA_FILE
        return TrainedAdapter(folder, file, sha256_of(file), 0.25, 2, tuple(margins))

    monkeypatch.setattr(improving, "train_lesson", copy)
    return margins


@pytest.fixture
def run(asked, workspace, feedback):
    """Improve, and return the workspace and the events."""

    def execute(name="run", given=None, space=None, **fields):
        events, wanted = [], []

        def source(kind, selection):
            wanted.append((kind, selection))
            return given or feedback

        place = space or workspace(name, feedback=source, execution=Execution(device="cpu"))
        improve(asked(**fields), place, events.append)
        return place, events

    return execute


@pytest.fixture
def finished(run, trained, workspace, feedback, tmp_path_factory):
    """The workspace and the events of one improvement, for tests that only read; its folder outlives the first one."""
    if not DONE:
        folder = tmp_path_factory.mktemp("finished")
        space = workspace("run", feedback=lambda kind, selection: feedback, execution=Execution(device="cpu"))
        (folder / "run").mkdir()
        DONE.append(run(space=replace(space, folder=folder / "run", out=folder / "better")))
    return DONE[0]


@pytest.fixture
def unevaluated(monkeypatch):
    """Improvements without images: prompt fidelity is kept."""
    same = MetricResult("prompt_fidelity", "prompt fidelity", "higher", "picture", None, 0.5, 0.4, 0.6, (0.5, 0.5))
    found = Evaluation((measured(same, same, 0.03),), ComparedImages((), ()), ())
    monkeypatch.setattr(improving.Evaluator, "evaluate", lambda *given: found)


def record(place) -> ImprovementRecord:
    return ImprovementRecord.model_validate_json((place.out / "record.json").read_text())


def notices(events):
    return [event.text for event in events if isinstance(event, Notice)]


@pytest.mark.slow
def test_a_whole_improvement(run, original, feedback):
    place, events = run()
    found = record(place)
    adapter = open_adapter(str(place.out))
    assert adapter.sha256 == found.sha256 != found.original == open_adapter(str(original)).sha256
    assert adapter.facts["improved"]["feedback"] == found.feedback and found.file == LORA_FILE
    assert [each.name for each in found.measured][:2] == ["preference_accuracy", "prompt_fidelity"]
    assert (found.lesson, found.steps, found.reasons) == ("preference", 2, {"off_prompt": 4})
    assert not found.decision.replaces, "two steps on noise teach nothing, and a pair or two show nothing"
    assert [event.name for event in events if isinstance(event, Stage)][:2] == ["reading feedback", "loading"]


def test_what_is_written_and_recorded(finished):
    place, events = finished
    assert {path.name for path in place.out.iterdir()} >= {LORA_FILE, "record.json", "report.html"}
    found = record(place)
    names = [each.name for each in found.measured]
    assert names == [
        "preference_accuracy", "prompt_fidelity", "subject_fidelity", "diversity", "memorisation", "class_drift",
    ]  # fmt: skip
    assert found.decision.replaces, "it prefers all, and its images are those of the original"
    assert all(each.difference == pytest.approx(0, abs=1e-6) for each in found.measured[1:])
    assert {each.name: each.verdict for each in found.measured if each.verdict != "kept"} == {
        "preference_accuracy": "better", "diversity": "uncertain",
    }, "the diversity of a single prompt has no interval"  # fmt: skip
    assert found.measured[1].count == 2 * len(found.prompts) and found.measured[5].count == 2 * 4
    assert found.pairs + found.held_out_pairs == 4 and found.held_out_pairs >= 1
    assert found.left_out == ("2 pairs: the images belong to two prompts",) and found.too_little
    made = [event for event in events if isinstance(event, ArtifactCreated) and event.what != "picture"]
    assert [(each.what, each.path) for each in made] == [
        ("adapter", str(place.out)),
        ("scores", str(place.out / "record.json")),
        ("report", str(place.out / "report.html")),
    ]
    assert made[0].sha256 == found.sha256 == open_adapter(str(place.out)).sha256
    assert made[0].details["replaces"] is True and made[0].details["trigger_words"] == ["sks"]
    assert made[2].details == {"verdict": found.verdict}


def test_the_report_shows_the_decision_the_measures_and_the_images(finished):
    place, _ = finished
    page = (place.out / "report.html").read_text()
    assert "It replaces the original." in page and "preference accuracy" in page and "off prompt" in page
    assert page.count("data:image/webp") == 2 * 2 * len(record(place).prompts)


def test_what_is_said_before_the_training(finished):
    _, events = finished
    found = notices(events)
    assert found[0].startswith("lesson preference, because the feedback has ") and "; held out: " in found[0]
    assert found[1] == "not used: 2 pairs: the images belong to two prompts"
    assert any("images in" in text and "which were trained on" in text for text in found)
    assert any("4 pairs are too little feedback" in text and "would be enough" in text for text in found)


def test_the_taste_of_one_person_is_recorded_and_said(run, trained, unevaluated, feedback):
    pairs = tuple(pair.model_copy(update={"rater": "a"}) for pair in feedback.pairs)
    place, events = run("alone", given=Feedback(pairs=pairs))
    line = "one rater gave 100% of the feedback: it is mostly the taste of one person"
    assert record(place).taste == (line,) and line in notices(events)
    assert f"Note: {line}." in (place.out / "report.html").read_text()


def test_images_are_of_the_same_prompts_and_seeds_and_of_the_base_model_for_drift(finished):
    place, _ = finished
    labels = {(path.relative_to(place.folder).parts[:2]): [] for path in sorted(place.folder.glob("p*/*/*/*.png"))}
    for path in sorted(place.folder.glob("p*/*/*/*.png")):
        label = read_label(path)
        labels[path.relative_to(place.folder).parts[:2]].append((label.request.prompt, label.seed, len(label.adapters)))
    assert labels["pictures", "old"] == labels["pictures", "new"]
    assert {seed for _, seed, _ in labels["pictures", "old"]} == {42, 43}
    assert [each[:2] for each in labels["plain", "base"]] == [each[:2] for each in labels["plain", "old"]]
    assert {used for _, _, used in labels["plain", "base"]} == {0}
    assert all("sks" not in prompt and "dog" in prompt for prompt, _, _ in labels["plain", "new"])
    new = read_label(next(place.folder.glob("pictures/new/*/*.png")))
    assert new.request.adapter[0].path == str(place.out / LORA_FILE), "named where it will be"


def test_a_version_that_prefers_no_more_than_chance_is_kept_separately(run, trained, unevaluated):
    trained[:] = [1.0, -1.0, 0.0] * 10
    place, _ = run()
    found = record(place)
    assert found.measured[0].new == pytest.approx(1 / 3), "a pair that is not ordered is not ordered right"
    assert not found.decision.replaces and "not certainly more than chance" in found.verdict
    page = (place.out / "report.html").read_text()
    assert "kept separately" in page and "data:image" not in page


def test_without_held_out_pairs_nothing_is_decided_for_it(run, trained, unevaluated):
    trained[:] = []
    found = record(run()[0])
    assert not found.decision.replaces and "preference accuracy, because no pair is held out" in found.verdict


def test_a_queued_run_opens_no_folder_that_the_adapter_names(run, trained, workspace, feedback):
    place = workspace("queued", feedback=lambda *given: feedback, local=False, execution=Execution(device="cpu"))
    run(space=place)
    found = record(place)
    assert "subject_fidelity" not in [each.name for each in found.measured]
    assert any("subject fidelity, because no photos" in line for line in found.unmeasured)
    new = read_label(next(place.folder.glob("pictures/new/*/*.png")))
    assert new.request.adapter[0].path == f"sha256:{found.sha256}", "no path of this machine"


def test_photos_of_the_request_are_used(asked, painted, workspace):
    target = improving.find_original(asked(references=str(painted)), workspace(local=False))
    assert {path.parent for path in target.references} == {painted}
    assert improving.find_original(asked(), workspace(local=False)).references == ()
    assert improving.find_original(asked(), workspace()).references


def test_more_prompts_are_compared_and_fewer_held_out_ones(run, trained, unevaluated):
    found = record(run(prompt=["a cat"], most_prompts=1)[0])
    assert found.prompts[0] == "a cat" and len(found.prompts) == 2


class Screen:
    """Refuses a text with a word."""

    checks_images = False

    def __init__(self, word):
        self.word = word

    def admit_captions(self, captions):
        if any(self.word in text for text in captions):
            raise RequestRefused("the caption", "violence")

    def admit_image(self, picture, sha256):
        raise AssertionError("no check judges images")


@pytest.mark.parametrize("word", ["sks dog", "a picture of a dog in a room"])
def test_what_is_generated_is_moderated_first(run, trained, workspace, feedback, word):
    place = workspace(
        "screened", feedback=lambda *given: feedback, screen=Screen(word), execution=Execution(device="cpu")
    )
    with pytest.raises(RequestRefused, match="violence"):
        run(space=place)
    assert not list(place.folder.glob("**/*.png"))


@pytest.mark.parametrize(
    ("source", "kind"), [(None, None), ("ratings", "ratings"), ("pairs", "pairs")], ids=["all", "ratings", "pairs"]
)
def test_the_recorded_feedback_of_the_request_is_read(asked, workspace, feedback, source, kind):
    wanted = []
    place = workspace(feedback=lambda *given: wanted.append(given) or feedback)
    assert improving.feedback_of(asked(source=source, style="oil"), place) is feedback
    assert wanted == [(kind, FeedbackSelection(style="oil"))]


def test_a_file_is_read_with_the_paths_that_its_sender_may_name(asked, workspace, monkeypatch, feedback):
    given = []
    monkeypatch.setattr(improving, "read_feedback", lambda *values: given.append(values) or feedback)
    for local in (True, False):
        place = workspace(local=local)
        improving.feedback_of(asked(source="f.jsonl"), place)
        assert (str(given[-1][0]), *given[-1][1:]) == ("f.jsonl", place.folder / "feedback", local)
    with pytest.raises(RequestRefused):
        improving.feedback_of(asked(source="f.jsonl"), workspace(screen=Screen("sks")))


def test_without_recorded_feedback_a_file_is_needed(asked, workspace):
    with pytest.raises(LimnerError, match="no access to recorded feedback; give a file of feedback by --from"):
        improving.feedback_of(asked(), workspace())


def test_settings_that_are_not_given_are_those_of_the_lesson(asked, workspace, original):
    target = improving.find_original(asked(), workspace())
    default = improving.job_of(asked(steps=None, learning_rate=None, batch=None), target, "kto", workspace()).settings
    assert (default.steps, default.beta, default.margin, default.anchor) == (None, None, 3.0, 0.5)
    fields = {"beta": 7, "margin": 2, "anchor": 0, "seed": 5, "own_noise": True}
    given = improving.job_of(asked(**fields), target, "liked", workspace()).settings
    assert given.own_noise and not default.own_noise
    assert (given.lesson, given.steps, given.beta, given.margin, given.anchor, given.seed) == ("liked", 2, 7, 2, 0, 5)


def test_a_model_is_improved_by_a_new_adapter(asked, workspace, tiny_sd):
    target = improving.find_original(asked(target=str(tiny_sd)), workspace())
    job = improving.job_of(asked(target=str(tiny_sd)), target, "preference", workspace())
    assert (target.adapter, target.photos, job.original) == (None, None, None)
    new = improving.improved_version(target, TrainedAdapter(tiny_sd, tiny_sd / "a.safetensors", "f", 0, 1, ()))
    assert new.model == str(tiny_sd) and [use.path for use in new.adapters] == [str(tiny_sd / "a.safetensors")]


@pytest.mark.parametrize("erased", ["rater", "images"])
def test_feedback_that_is_erased_meanwhile_is_not_learnt_from(asked, trained, unevaluated, workspace, feedback, erased):
    gone = [pair for pair in feedback.pairs if pair.rater == "b"][: 2 if erased == "rater" else 1]
    left = feedback.model_copy(update={"pairs": tuple(pair for pair in feedback.pairs if pair not in gone)})
    if erased == "rater":
        left = left.model_copy(update={"ratings": left.ratings[:1]})
    answers, events = [feedback, left, left], []
    place = workspace(feedback=lambda *given: answers.pop(0), execution=Execution(device="cpu"))
    improve(asked(), place, events.append)
    assert (
        notices(events).count("feedback was erased while it was learnt from: the training starts again without it") == 1
    )
    assert record(place).pairs + record(place).held_out_pairs == len(left.pairs)
    assert not answers


def test_feedback_that_is_added_meanwhile_waits_for_the_next_improvement(
    asked, trained, unevaluated, workspace, feedback
):
    first = feedback.model_copy(update={"pairs": feedback.pairs[:3], "ratings": ()})
    answers, events = [first, feedback], []
    place = workspace(feedback=lambda *given: answers.pop(0), execution=Execution(device="cpu"))
    improve(asked(), place, events.append)
    assert record(place).pairs + record(place).held_out_pairs == 3
    assert not [text for text in notices(events) if "erased" in text]


def test_a_result_of_another_run_is_not_replaced(run, trained, workspace, feedback):
    place = workspace(feedback=lambda *given: feedback)
    place.out.mkdir()
    (place.out / "record.json").write_text("{}")
    with pytest.raises(LimnerError, match="better"):
        run(space=place)
    assert improving.own_result(place.out, replace(place, resume=True))
    (place.out / "record.json").unlink()
    assert not improving.own_result(place.out, replace(place, resume=True))


def test_a_resumed_run_generates_no_image_again(run, trained, workspace, feedback):
    place = workspace(feedback=lambda *given: feedback, execution=Execution(device="cpu"))
    place = replace(place, stop=lambda: any(place.folder.glob("pictures/old/*/*.png")))
    with pytest.raises(Interrupted):
        run(space=place)
    before = {path: path.stat().st_mtime_ns for path in place.folder.glob("p*/**/*.png")}
    assert before and not (place.out / "record.json").exists()
    run(space=replace(place, stop=lambda: False, resume=True))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert json.loads((place.out / "record.json").read_text())["measured"]
