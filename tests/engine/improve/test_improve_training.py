"""Training of improvements: the adapter and its header, exact resume, and settings that change nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count

import pytest
import torch
from safetensors.torch import load_file

from limner import TrainRequest
from limner.core.errors import Interrupted, LimnerError
from limner.core.events import Notice, Stage
from limner.data.sets.folder import scan
from limner.engine.improve.job import LessonSettings, adapter_job, model_job
from limner.engine.improve.training import RESULT, TrainedAdapter, finished, pair_margins, train_lesson
from limner.engine.train.checkpoint import checkpoints
from limner.engine.train.continuation import training_of
from limner.models.adapters import open_adapter
from limner.models.options import LORA_FILE
from limner.store.files import sha256_of

LESSONS = ("preference", "kto", "liked")


def weights(folder):
    return {name: tensor.numpy().tobytes() for name, tensor in load_file(folder / LORA_FILE).items()}


def header(folder):
    adapter = open_adapter(str(folder))
    return dict(adapter.header), dict(adapter.facts)


@pytest.mark.parametrize("lesson", LESSONS)
def test_it_writes_an_adapter_like_the_original(improve, original, lesson):
    trained, events = improve(lesson=lesson)
    assert trained.file == trained.folder / LORA_FILE and trained.sha256 == open_adapter(str(trained.folder)).sha256
    assert weights(trained.folder).keys() == weights(original).keys() and weights(trained.folder) != weights(original)
    assert trained.steps == 4 and trained.loss > 0 and len(trained.margins) == 1 and trained.margins[0] != 0
    assert [event.name for event in events if isinstance(event, Stage)] == [
        "loading", "encoding", "training", "held-out pairs",
    ]  # fmt: skip
    card = (trained.folder / "README.md").read_text()
    assert card.startswith((original / "README.md").read_text()) and f"| Lesson | {lesson} |" in card
    assert "| Feedback | 3 pairs, 6 ratings (SHA-256 `ffffffffffffffff`) |" in card
    assert (trained.folder / "metrics.jsonl").read_text().count("held_out_loss") == 2


def test_the_header_is_the_originals_with_what_it_was_improved_by(improve, original, learning):
    trained, _ = improve()
    (ours, facts), (theirs, before) = header(trained.folder), header(original)
    improved = facts.pop("improved")
    assert facts == before and facts["trigger_words"] == ["sks"]
    assert improved.pop("digest")
    assert improved == {
        "from": open_adapter(str(original)).sha256, "feedback": learning.digest, "lesson": "preference", "pairs": 3,
        "ratings": 6,
    }  # fmt: skip
    assert (ours["modelspec.title"], ours["ss_output_name"]) == ("run-better", "run-better")
    changed = {name for name in theirs if ours[name] != theirs[name]}
    assert changed == {"limner", "modelspec.title", "ss_output_name", "lora_adapter_metadata"} & changed
    assert json.loads(ours["lora_adapter_metadata"])["unet.r"] == 2
    assert training_of(open_adapter(str(trained.folder)))[1] == training_of(open_adapter(str(original)))[1]


@pytest.mark.slow
def test_an_improved_adapter_can_be_improved_again(improve, learning, workspace):
    first, _ = improve()
    settings = LessonSettings("preference", steps=1, batch=1)
    job = adapter_job(open_adapter(str(first.folder)), settings, workspace("again"))
    second = train_lesson(job, learning, lambda event: None)
    assert header(second.folder)[1]["improved"]["from"] == first.sha256


def test_a_beta_of_0_changes_nothing(improve, original):
    trained, _ = improve(beta=0.0)
    assert weights(trained.folder) == weights(original) and trained.margins == (0.0,)


def test_feedback_of_no_weight_changes_nothing(improve, original, learning):
    none = replace(learning, pairs=tuple(replace(pair, weight=0.0) for pair in learning.pairs))
    assert weights(improve(feedback=none)[0].folder) == weights(original)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lesson", "stop_at"),
    [
        ("preference", 1),
        ("preference", 3),
        ("kto", 3),
        ("liked", 3),
    ],
)
def test_an_interrupted_run_ends_in_the_same_bits(improve, workspace, painted, lesson, stop_at):
    photographs = scan(painted)
    whole, _ = improve("whole", lesson, scan=photographs)
    asked = count(1)
    with pytest.raises(Interrupted, match=f"stopped at step {stop_at} of 4"):
        improve("parts", lesson, scan=photographs, space=workspace("parts", stop=lambda: next(asked) >= stop_at))
    resumed, events = improve("parts", lesson, scan=photographs, space=workspace("parts", resume=True))
    assert weights(resumed.folder) == weights(whole.folder)
    assert (resumed.loss, resumed.margins) == (whole.loss, whole.margins)
    assert f"resuming from step {stop_at}" in [event.text for event in events if isinstance(event, Notice)]


def test_a_run_whose_feedback_has_changed_starts_again(improve, workspace, learning):
    with pytest.raises(Interrupted):
        improve("parts", space=workspace("parts", stop=lambda: True), steps=2)
    fewer = replace(learning, pairs=learning.pairs[1:], digest="e" * 64)
    whole, _ = improve("whole", feedback=fewer, steps=2)
    again, events = improve("parts", feedback=fewer, space=workspace("parts", resume=True), steps=2)
    assert weights(again.folder) == weights(whole.folder)
    assert any(
        "have changed since the run was interrupted" in event.text for event in events if isinstance(event, Notice)
    )


def test_a_finished_training_is_not_repeated(improve):
    first, _ = improve(steps=1)
    again, events = improve(steps=1)
    assert again == first and isinstance(again, TrainedAdapter) and events == []


def test_a_result_is_known_by_what_it_depends_on_and_by_its_file(original, workspace, learning):
    job = adapter_job(open_adapter(str(original)), LessonSettings("preference"), workspace())
    folder = workspace().folder / "improved"
    folder.mkdir()
    (folder / "weights").write_bytes(b"weights")
    facts = {"digest": job.digest(learning.digest), "file": "weights", "sha256": sha256_of(folder / "weights")}
    facts |= {"loss": 0.5, "steps": 4, "margins": [0.25]}
    for change in ({"digest": "other"}, {"sha256": "other"}, {"loss": "x"}):
        (folder / RESULT).write_text(json.dumps(facts | change))
        assert finished(job, learning) is None
    (folder / RESULT).write_text(json.dumps(facts))
    assert finished(job, learning).margins == (0.25,)


@pytest.mark.slow
def test_a_finished_training_of_other_feedback_or_with_a_damaged_file_is(improve, learning):
    first, _ = improve(steps=1)
    known = weights(first.folder)
    (first.folder / LORA_FILE).write_bytes(b"damaged")
    assert weights(improve(steps=1)[0].folder) == known
    _, events = improve(feedback=replace(learning, digest="e" * 64), steps=1)
    assert events


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS)
def test_the_order_of_feedback_makes_no_difference(improve, learning, lesson):
    turned = replace(learning, pairs=learning.pairs[::-1], ratings=learning.ratings[::-1])
    one, _ = improve("one", lesson)
    other, _ = improve("other", lesson, feedback=turned)
    assert weights(one.folder) == weights(other.folder)


@pytest.mark.slow
def test_margins_are_in_the_order_of_the_held_out_pairs(improve, original, learning, workspace):
    """Pairs of two sizes, which are encoded in sets of their own."""
    held_out = learning.pairs
    one, _ = improve("one", feedback=replace(learning, held_out_pairs=held_out))
    other, _ = improve("other", feedback=replace(learning, held_out_pairs=held_out[::-1]))
    assert one.margins == other.margins[::-1] and len(set(one.margins)) == 3
    job = adapter_job(open_adapter(str(original)), LessonSettings("preference"), workspace())
    assert pair_margins(job, one.file, held_out, lambda event: None) == pytest.approx(one.margins, rel=1e-3, abs=1e-6)
    assert pair_margins(job, open_adapter(str(original)).file, held_out, lambda event: None) == (0.0, 0.0, 0.0)


@pytest.mark.slow
def test_a_lesson_on_pairs_prefers_what_people_preferred(improve, learning):
    """At the noise that the images were generated from: the tiny model has not learned to tell noise from images."""
    pairs = tuple(replace(pair, weight=1.0, noise=(0.0, 1.0)) for pair in learning.pairs[:2])
    same = replace(learning, pairs=pairs, held_out_pairs=pairs)
    trained, _ = improve(feedback=same, steps=30, checkpoint_every=30, learning_rate=1e-3, margin=50.0, own_noise=True)
    assert all(margin > 1e-3 for margin in trained.margins), trained.margins


@pytest.mark.slow
def test_photographs_keep_the_subject(improve, painted):
    """Photographs count as much as they weigh, and none without weight."""
    photographs = scan(painted)
    without, _ = improve("without", "liked", steps=1)
    ignored, _ = improve("ignored", "liked", scan=photographs, photographs=0.0, steps=1)
    mixed, _ = improve("mixed", "liked", scan=photographs, steps=1)
    assert weights(without.folder) == weights(ignored.folder) != weights(mixed.folder)


@pytest.mark.parametrize(
    ("lesson", "what"),
    [
        ("preference", "pairs of images"),
        ("kto", "images with 1, 2, 4 or 5 stars"),
        ("liked", "images with 4 or 5 stars"),
    ],
)
def test_a_lesson_needs_feedback_of_its_kind(improve, learning, lesson, what):
    ratings = tuple(each for each in learning.ratings if each.rating.stars == 3)
    with pytest.raises(LimnerError, match=f"the lesson '{lesson}' needs {what}, and there are none"):
        improve(lesson=lesson, feedback=replace(learning, pairs=(), ratings=ratings))


@pytest.mark.parametrize(
    "family", ["sd", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sdxl", "flux", "flux2", "z_image"))]
)
def test_a_model_of_any_family_gets_an_adapter(home, tiny_folder, learning, workspace, family):
    folder = tiny_folder(family)
    settings = LessonSettings("preference", steps=2, batch=1, learning_rate=1e-3)
    job = model_job(str(folder), settings, workspace())
    trained = train_lesson(job, learning, lambda event: None)
    adapter = open_adapter(str(trained.folder))
    request, _ = training_of(adapter)
    assert adapter.facts["base"]["reference"] == str(folder) == request.model
    assert adapter.facts["improved"]["from"] is None and adapter.facts["trigger_words"] == []
    tensors = load_file(trained.file)
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert any(tensor.any() for name, tensor in tensors.items() if "lora_B" in name)
    again = adapter_job(adapter, settings, workspace("again"))
    assert train_lesson(again, learning, lambda event: None).sha256 != trained.sha256


@pytest.mark.parametrize("method", [pytest.param("pivotal", marks=pytest.mark.slow), "textual_inversion"])
def test_an_adapter_with_learned_words_is_improved(home, ran_once, tiny_sd, painted, learning, workspace, method):
    """Captions are encoded at every step, those of the reference model by its own words."""
    plain = {"data": str(painted), "class_word": "dog", "model": str(tiny_sd), "prior": False, "held_out": 0}
    original = ran_once(f"adapters/{method}", TrainRequest(**plain, steps=1, batch=2, method=method))
    settings = LessonSettings("preference", steps=2, batch=2, learning_rate=1e-2)
    adapter = open_adapter(str(original))
    trained = train_lesson(adapter_job(adapter, settings, workspace()), learning, lambda event: None)
    improved = open_adapter(str(trained.folder))
    assert improved.method == method and improved.sha256 != adapter.sha256
    before, after = load_file(adapter.file), load_file(improved.file)
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_checkpoints_are_in_the_runs_folder(improve, workspace):
    """There a queue looks for them, to resume a run."""
    trained, _ = improve()
    assert [path.name for path in checkpoints(workspace().folder)] == ["checkpoint-00000002", "checkpoint-00000004"]
    assert trained.folder == workspace().folder / "improved"
