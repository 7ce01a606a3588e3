"""The exam of personalisation: what is trained, what is generated with which adapter, and what is reported."""

from __future__ import annotations

import json
import random
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from limner.models import adapters, loading
from limner.starter import card
from limner.starter.exam import personalise, subject_scores
from limner.starter.exam.options import ExamOptions
from limner.starter.exam.personalise import CharacterAdapter
from limner.starter.exam.scoring import Proportion
from limner.starter.exam.subject_scores import DRIFT_PROMPTS, SUBJECT_PROMPTS, SubjectScores, prompts_for, score_subject
from limner.starter.judge import MARKINGS, truth
from limner.starter.painter import CHARACTERS, Scene, caption, paint, portraits


class TrainingStudio:
    """Makes the folder of what it is asked to train."""

    def __init__(self):
        self.requests = []

    def run(self, request, out, *, listener, stop):
        self.requests.append((request, out, listener, stop))
        out.mkdir()


@pytest.fixture
def model(monkeypatch):
    """What the alias of the model resolves to, and the hashes of its weights."""
    found = SimpleNamespace(location="/weights", defaults={"rank": 4})
    hashes = {"unet/a.safetensors": "1", "judge/model.safetensors": "2"}
    monkeypatch.setattr(loading, "resolve", lambda reference: found)
    monkeypatch.setattr(card, "weight_hashes", lambda folder: hashes)
    return SimpleNamespace(found=found, hashes=hashes)


def test_a_character_is_trained_on_its_images_as_a_user_would(tmp_path, home, model):
    studio = TrainingStudio()
    events, stop = [], (lambda: True)
    adapter = personalise.train_character(studio, "rosie", tmp_path, "mine", {"steps": 7}, events.append, stop)
    ((request, out, listener, stopped),) = studio.requests
    assert (request.data, request.model, request.identifier) == (str(tmp_path / "photographs"), "mine", "sks")
    assert request.class_word == adapter.species == CHARACTERS["rosie"].species and request.steps == 7
    assert out == adapter.path and out.parent == tmp_path and stopped is stop
    listener("told")
    assert events == ["told"]
    other = personalise.train_character(
        studio, "ziggy", tmp_path / "z", "mine", {"identifier": "xyz"}, events.append, stop
    )
    assert studio.requests[-1][0].identifier == "xyz" and other.species == CHARACTERS["ziggy"].species


def test_training_images_are_portraits_with_the_side_they_face(tmp_path):
    assert personalise.write_training_images("rosie", tmp_path) == CHARACTERS["rosie"].species
    scenes = portraits("rosie", random.Random("photographs/rosie"), personalise.PLACES, personalise.POSES)
    texts = [path.read_text().strip() for path in sorted(tmp_path.glob("*.txt"))]
    assert texts == [caption(scene, identifier="sks") for scene in scenes]
    assert any(" facing " in text for text in texts)
    with Image.open(tmp_path / "01.png") as image:
        assert np.array_equal(image, paint(scenes[0]))


def test_the_same_training_is_not_repeated_and_another_is(tmp_path, home, model):
    studio = TrainingStudio()

    def folder_of(**training):
        return personalise.train_character(
            studio, "rosie", tmp_path, "starter", training, lambda event: None, lambda: False
        ).path

    first = folder_of()
    assert folder_of() == first and len(studio.requests) == 1
    model.hashes["judge/model.safetensors"] = "another"
    assert folder_of() == first, "the judge is not trained"
    found = {first, folder_of(steps=7)}
    model.found.defaults = {"rank": 8}
    found.add(folder_of())
    model.hashes["unet/a.safetensors"] = "another"
    found.add(folder_of())
    assert len(found) == len(studio.requests) == 4
    elsewhere = tmp_path / "moved"
    moved = personalise.train_character(studio, "rosie", elsewhere, "starter", {}, lambda event: None, lambda: False)
    assert moved.path.name == folder_of().name, "wherever it lies"


def test_another_dataset_is_another_training(tmp_path, home, model, monkeypatch):
    studio, digests = TrainingStudio(), iter("ab")
    monkeypatch.setattr(personalise, "scan", lambda data: SimpleNamespace(digest=next(digests)))
    folders = {
        personalise.train_character(studio, "rosie", tmp_path, "starter", {}, lambda event: None, lambda: False).path
        for _ in range(2)
    }
    assert len(folders) == 2


def test_each_adapter_is_compared_with_the_base_model_of_its_species(tmp_path, monkeypatch):
    generated, applied, scored, sheets, on = [], [], [], [], []

    @contextmanager
    def adapters_applied(pipeline, facts, loaded, weights):
        applied.append((pipeline, facts, [each.path for each in loaded], weights))
        on.append(loaded[0].path)
        yield
        on.clear()

    def generate_cached(folder, stage, prompts, guidance, adapter=""):
        generated.append((folder, stage, prompts, guidance, adapter, list(on)))
        return np.arange(len(prompts)) + 100 * len(generated)

    monkeypatch.setattr(adapters, "open_adapter", lambda path: SimpleNamespace(path=path, sha256=f"hash of {path}"))
    monkeypatch.setattr(adapters, "adapters_applied", adapters_applied)
    monkeypatch.setattr(personalise, "score_subject", lambda *given: scored.append(given) or given[1])
    monkeypatch.setattr(personalise, "write_sheet", lambda *given, **more: sheets.append((given, more)))
    model = SimpleNamespace(pipeline="pipeline", family=SimpleNamespace(facts="facts"), generate_cached=generate_cached)
    trained = {"rosie": CharacterAdapter("cat", tmp_path / "r"), "comet": CharacterAdapter("dog", tmp_path / "c")}
    trained["coco"] = CharacterAdapter("cat", tmp_path / "o")
    scores = personalise.score_adapters(model, trained, tmp_path, 4.5)  # type: ignore[arg-type]
    assert scores == {"rosie": "rosie", "comet": "comet", "coco": "coco"}
    answers = tmp_path / "answers"
    assert generated == [
        (answers, "base cat", prompts_for("a cat", "cat"), 4.5, "", []),
        (answers, "base dog", prompts_for("a dog", "dog"), 4.5, "", []),
        *(
            (answers, name, prompts_for(f"sks {species}", species), 4.5, f"hash of {path}", [str(path)])
            for name, (species, path) in {name: (each.species, each.path) for name, each in trained.items()}.items()
        ),
    ]
    assert applied == [("pipeline", "facts", [str(each.path)], [1.0]) for each in trained.values()]
    assert [(name, species, int(pixels[0]), int(base[0])) for _, name, species, pixels, base in scored] == [
        ("rosie", "cat", 300, 100),
        ("comet", "dog", 400, 200),
        ("coco", "cat", 500, 100),
    ]
    (path, images, captions), settings = sheets[0]
    assert path == tmp_path / "rosie.png" and settings == {"columns": 10}
    assert images == list(range(300, 320)) and captions == prompts_for("sks cat", "cat")[:20]


def scores_of(*rights):
    return SubjectScores(*(Proportion(right, 100) for right in rights))


@pytest.mark.parametrize(("given", "guidance"), [((), 2.5), ((7.0,), 7.0)])
def test_the_report_has_the_guidance_the_training_and_every_score(tmp_path, home, monkeypatch, given, guidance):
    loaded, order = [], []
    model = SimpleNamespace(facts={"reference": "mine"}, sampling={"guidance": 2.5})

    def train_character(studio, name, folder, reference, training, listener, stop):
        order.append("train")
        assert (folder, reference, training) == (tmp_path / "out" / name, "mine", {"steps": 7})
        return CharacterAdapter("cat", folder)

    def load(options, listener, stop):
        order.append("load")
        loaded.append(options)
        return model

    scores = {"rosie": scores_of(10, 20, 30, 40, 50, 60, 70), "coco": scores_of(20, 30, 40, 50, 60, 70, 80)}
    scoring = []
    monkeypatch.setattr(personalise, "train_character", train_character)
    monkeypatch.setattr(personalise.ModelUnderTest, "load", load)
    monkeypatch.setattr(personalise, "score_adapters", lambda *arguments: scoring.append(arguments) or scores)
    options = ExamOptions(personalise=True, model="mine", guidance=given)
    found = personalise.run_personalisation_exam(
        tmp_path / "out", options, print, lambda: False, names=("rosie", "coco"), training={"steps": 7}
    )
    assert found == scores and order == ["load", "train", "train", "load"] and set(loaded) == {options}
    ((tested, trained, out, at),) = scoring
    assert tested is model and list(trained) == ["rosie", "coco"] and (out, at) == (tmp_path / "out", guidance)
    report = json.loads((tmp_path / "out" / "personalise.json").read_text())
    assert report["model"] == {"reference": "mine", "guidance": guidance} and report["training"] == {"steps": 7}
    assert list(report["scores"]) == ["rosie", "coco", "all"]
    assert report["scores"]["all"]["marks"] == {"right": 30, "count": 200, "share": 0.15}
    assert report["scores"]["rosie"]["obeyed"] == 0.8
    page = (tmp_path / "out" / "personalise.md").read_text()
    assert (
        "Ten invented characters, 6 images each" in page and f"20 new prompts each at guidance {guidance:g}, " in page
    )
    assert "| rosie | 10 | 20 | 30 | 40 | 50 | 80 | 60 | 70 |\n" in page
    assert "| all | 15 | 25 | 35 | 45 | 55 | 82 | 65 | 75 |\n" in page


class Answers:
    """What a judge reads: everything is there, but for what `hidden` names."""

    def __init__(self, hidden=lambda index, attribute, value: False):
        self.hidden = hidden

    def shows(self, index, attribute, value):
        return not self.hidden(index, attribute, value)


class ReadingInTurn:
    """A judge that gives its readings in turn, and records what it was shown."""

    def __init__(self, *answers):
        self.answers, self.shown = list(answers), []

    def read(self, pixels):
        self.shown.append(pixels)
        return self.answers.pop(0)


def score(drawn=None, personalised=None, base=None):
    judge = ReadingInTurn(drawn or Answers(), personalised or Answers(), base or Answers())
    pixels, base_pixels = np.zeros((28, 2, 2, 3)), np.ones((28, 2, 2, 3))
    found = score_subject(judge, "ziggy", "cat", pixels, base_pixels)  # type: ignore[arg-type]
    assert judge.shown[0].shape == (20, 128, 128, 3)
    assert judge.shown[1] is pixels and judge.shown[2] is base_pixels
    return found


def test_scores_count_what_is_seen_in_the_right_images():
    scenes = [Scene(subject="cat", character="ziggy", **prompt.expected) for prompt in SUBJECT_PROMPTS]
    marks = sum(
        bool(true[place]) and true[place] != values[0]
        for true in map(truth, scenes)
        for place, values in MARKINGS.items()
    )
    coats = sum(truth(scene)["coat"] is not None for scene in scenes)
    expected = sum(len(prompt.expected) for prompt in SUBJECT_PROMPTS)
    whole = score()
    assert [each.count for each in vars(whole).values()] == [marks, marks, coats, expected, expected, 8, 8]
    assert all(each.right == each.count for each in vars(whole).values())
    assert 0 < coats < 20, "a sketch shows no coat"

    def everything(index, attribute, value):
        return True

    seen_by = {"drawn": score(drawn=Answers(everything)), "personalised": score(personalised=Answers(everything))}
    seen_by["base"] = score(base=Answers(everything))
    missed = {who: {name for name, each in vars(found).items() if not each.right} for who, found in seen_by.items()}
    assert missed == {
        "drawn": {"painter_marks"},
        "personalised": {"marks", "coat", "prompt", "drift"},
        "base": {"base_prompt", "base_drift"},
    }
    last = score(personalised=Answers(lambda index, attribute, value: index >= 20))
    assert (last.drift.right, last.coat.right, last.prompt.right) == (0, coats, expected)
    own = truth(Scene(subject="cat", character="ziggy"))["coat"]
    coat = score(personalised=Answers(lambda index, attribute, value: (attribute, value) == ("coat", own)))
    assert (coat.coat.right, coat.drift.right, coat.marks.right) == (0, 0, marks)


def test_every_prompt_says_what_it_expects():
    for prompt in SUBJECT_PROMPTS:
        text = prompt.text("sks dog").replace("with mountains in the background", "mountains")
        assert "sks dog" in text and all(value in text for value in prompt.expected.values()), text
        assert "place" in prompt.expected and Scene(subject="dog", character="comet", **prompt.expected)


def test_class_drift_is_asked_for_by_the_class_word_alone():
    prompts = prompts_for("sks dog", "dog")
    assert len(prompts) == len(SUBJECT_PROMPTS) + subject_scores.DRIFT_IMAGES == 28
    assert prompts[0] == "a photo of sks dog in the desert"
    assert prompts[20:] == [template.format("dog") for template in DRIFT_PROMPTS] * 2
    assert not any("sks" in text for text in prompts[20:])
