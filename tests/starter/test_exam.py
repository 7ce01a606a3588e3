"""The exam commands, with few prompts and few steps."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import Interrupted, LimnerError
from limner.core.events import Stage
from limner.models import loading
from limner.starter.card import weight_hashes
from limner.starter.exam import exam, judge_accuracy, personalise, sheet, subject_scores
from limner.starter.exam.model import ModelUnderTest
from limner.starter.exam.options import ExamOptions
from limner.starter.exam.prompts import ExamPrompt, exam_prompts
from limner.starter.exam.scoring import ExamResult
from limner.starter.painter import CHARACTERS, Scene, paint
from limner.store.locks import Locked, output_lock


@pytest.fixture(autouse=True)
def few_images_for_the_judge(monkeypatch):
    monkeypatch.setattr(exam, "measure_judge", lambda judge, vae: judge_accuracy.measure_judge(judge, vae, 16))


@pytest.mark.slow
def test_the_exam_command(starter, limner, tmp_path):
    flags = ("--questions", 6, "--guidance", 5, "--steps", 2, "--out", tmp_path / "exam")
    printed = limner("starter", "exam", *flags).out
    assert "all right" in printed and "guidance 5" in printed and "painter" in printed and "marks there" in printed
    report = json.loads((tmp_path / "exam" / "exam.json").read_text())
    assert report["questions"] == 6 and set(report["results"]) == {"guidance 5", "painter"}
    assert report["model"]["sha256"] == weight_hashes(starter) and report["model"]["steps"] == 2
    with Image.open(tmp_path / "exam" / "answers-5.png") as image:
        assert image.width > 1000 and "IPTC" not in image.info.get("limner", "")


@pytest.mark.slow  # record_exam is tested below
def test_results_are_recorded_in_the_model_card(starter, limner, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(starter, model)
    for name in ("exam.json", "exam.md"):
        (model / name).unlink(missing_ok=True)
    flags = ("--questions", 4, "--guidance", 5, "--steps", 1, "--model", model, "--record")
    limner("starter", "exam", *flags, "--out", tmp_path / "exam")
    card = (model / "README.md").read_text()
    assert "## Exam" in card and "4 prompts" in card and "## Weights" in card
    assert json.loads((model / "exam.json").read_text())["model"]["sha256"] == weight_hashes(model)


@pytest.mark.slow  # test_exam_model.py tests which images are read again
def test_a_stopped_exam_is_resumed(starter, home, tmp_path, monkeypatch):
    options = ExamOptions(guidance=(5.0, 1.5), steps=1, questions=2)
    with pytest.raises(Interrupted):
        exam.run_exam(tmp_path, options, lambda event: None, (kept := lambda: any(tmp_path.glob("answers/*"))))
    assert kept()
    stages = []
    whole = exam.run_exam(tmp_path, options, lambda event: stages.append(getattr(event, "name", "")), lambda: False)
    assert "guidance 1.5" in stages and "guidance 5" not in stages
    monkeypatch.setattr(ModelUnderTest, "generate", None)
    assert exam.run_exam(tmp_path, options, lambda event: None, lambda: False) == whole
    with pytest.raises(TypeError):
        exam.run_exam(tmp_path, ExamOptions(guidance=(5.0,), steps=2, questions=2), lambda event: None, lambda: False)


@pytest.mark.parametrize(
    ("flags", "report"),
    [
        (("--steps", 0), "steps"),
        (("--questions", 0), "questions"),
        (("--questions", 513), "questions"),
        (("--guidance", -3), "guidance"),
        (("--precision", "fp8"), "precision"),
        (("--scheduler", "dpm+++"), "dpm+++"),
        (("--model", "./no-such"), "./no-such"),
        (("--personalise", "--questions", 5), "--questions"),
        (("--personalise", "--scheduler", "dpm+++"), "dpm+++"),
        (("--personalise", "--guidance", 5, "--guidance", 7), "--guidance"),
    ],
)
def test_a_wrong_option_is_an_error_of_one_line(limner, tmp_path, flags, report):
    said = limner("starter", "exam", *flags, "--out", tmp_path / "exam")
    *begun, error = said.err.strip().splitlines()
    assert said.code == 2 and report in error and begun in ([], ["starter exam"])
    assert not list(tmp_path.glob("exam/*"))


def test_a_model_that_the_judge_cannot_read_is_refused_before_training(limner, tiny_sd, tmp_path):
    said = limner("starter", "exam", "--personalise", "--model", tiny_sd, "--out", tmp_path / "exam")
    assert said.code == 2 and "the judge reads images of 128" in said.err
    assert not list(tmp_path.glob("exam/*"))


def test_a_stopped_exam_leaves_no_partial_files(starter, home, tmp_path):
    with pytest.raises(Interrupted):
        exam.run_exam(
            tmp_path / "out", ExamOptions(guidance=(5.0,), steps=1, questions=2), lambda event: None, lambda: True
        )
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.slow  # test_exam_personalise.py tests its parts
def test_the_personalisation_exam(starter, home, tmp_path, monkeypatch):
    training = {"steps": 2, "batch": 2, "prior": False, "warmup": 0}
    few = subject_scores.SUBJECT_PROMPTS[::2]
    for module in (subject_scores, personalise):
        monkeypatch.setattr(module, "SUBJECT_PROMPTS", few)

    def run(folder):
        options = ExamOptions(personalise=True, steps=1)
        return personalise.run_personalisation_exam(
            folder, options, lambda event: None, lambda: False, names=("ziggy",), training=training
        )

    scores = run(tmp_path)
    score = scores["ziggy"]
    assert score.drift.count == subject_scores.DRIFT_IMAGES and score.marks.count > 20
    assert score.prompt.count == score.base_prompt.count == sum(len(prompt.expected) for prompt in few)
    report = json.loads((tmp_path / "personalise.json").read_text())
    assert report["training"] == training and set(report["scores"]) == {"ziggy", "all"}
    assert len(list((tmp_path / "ziggy" / "photographs").glob("*.png"))) == personalise.IMAGES
    assert "| ziggy |" in (tmp_path / "personalise.md").read_text() and (tmp_path / "ziggy.png").exists()
    captions = [path.read_text() for path in sorted((tmp_path / "ziggy" / "photographs").glob("*.txt"))]
    assert len(captions) == personalise.IMAGES and "lying down facing right in the city" in captions[4]
    assert all("sks" in text for text in captions)
    monkeypatch.setattr(personalise.Studio, "run", lambda *given, **more: pytest.fail("trained again"))
    assert run(tmp_path) == scores
    shutil.copytree(tmp_path, moved := tmp_path.with_name("moved"))
    assert run(moved) == scores


def test_there_are_ten_characters_and_twenty_prompts():
    assert len(set(personalise.CHARACTERS)) == 10 and set(personalise.CHARACTERS) <= set(CHARACTERS)
    assert len(subject_scores.SUBJECT_PROMPTS) == 20


def test_the_sheet_command(starter, limner, tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "PROMPTS", sheet.PROMPTS[:2])
    assert Path(limner("starter", "sheet", "--out", tmp_path / "sheet.png").out.strip()) == tmp_path / "sheet.png"
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.height > 160


def test_a_model_of_another_image_size_is_refused(home, tmp_path, monkeypatch):
    real = loading.load
    monkeypatch.setattr(loading, "load", lambda *given: replace(real(*given), side=512))
    with pytest.raises(LimnerError, match="512"):
        exam.run_exam(tmp_path, ExamOptions(questions=1), lambda event: None, lambda: False)


@pytest.fixture
def painter_under_test(monkeypatch):
    """A model that answers with what the painter draws; it records stage, prompts and guidance of each call."""

    class Painter:
        def __init__(self):
            self.facts = {"steps": 5, "scheduler": "Euler", "precision": "float32"}
            self.calls = []
            self.components = SimpleNamespace(vae="vae")

        def generate_cached(self, folder, stage, prompts, guidance):
            self.calls.append((folder, stage, prompts, guidance))
            scenes = {prompt.text: prompt.scene for prompt in exam_prompts()}
            return np.stack([np.asarray(paint(scenes[text])) for text in prompts])

    model = Painter()
    monkeypatch.setattr(exam.ModelUnderTest, "load", lambda options, listener, stop: model)
    figures = {"attributes": {"subject": 0.987, "marks there": 0.5}, "calibration error": 0.0123}
    judged = {"whole": figures, "blur, 1 px": figures, "shuffled tiles": {"subject named": 0.0625}}
    monkeypatch.setattr(exam, "measure_judge", lambda judge, vae: judged)
    return model


def test_the_exam_is_at_five_guidance_scales_and_the_last_column_is_the_painter(painter_under_test, tmp_path):
    events = []
    results = exam.run_exam(tmp_path, ExamOptions(questions=4), events.append, lambda: False)
    every = exam_prompts()
    prompts = [every[i].text for i in (0, 128, 256, 384)]
    assert painter_under_test.calls[-5:] == [
        (tmp_path / "answers", f"guidance {scale}", prompts, float(scale)) for scale in ("1.5", "3", "5", "7.5", "12.5")
    ]
    assert list(results) == [f"guidance {scale}" for scale in ("1.5", "3", "5", "7.5", "12.5")] + ["painter"]
    assert results["painter"] == results["guidance 5"], "the model's answers are the painter's here"
    assert events == [Stage(name="painter"), Stage(name="judge")]
    sheets = {path.name for path in tmp_path.glob("*.png")}
    assert sheets == {f"answers-{scale}.png" for scale in ("1.5", "3", "5", "7.5", "12.5")}
    report = json.loads((tmp_path / "exam.json").read_text())
    assert (report["model"], report["questions"], report["seed"]) == (painter_under_test.facts, 4, 42)
    assert report["results"] == {name: json.loads(json.dumps(result.as_json())) for name, result in results.items()}
    page = (tmp_path / "exam.md").read_text()
    assert "4 prompts, seeds from 42, 5 steps (Euler, float32), scored" in page
    assert "The judge on 1200 new images" in page and "it names a subject in\n6.2%." in page
    assert "| right, % | whole | blur, 1 px |" in page and "| subject | 98.7 | 98.7 |" in page
    assert "| calibration error | 1.2 | 1.2 |" in page


def test_a_guidance_that_is_named_twice_is_examined_once(painter_under_test, tmp_path):
    results = exam.run_exam(tmp_path, ExamOptions(questions=1, guidance=(0, 4, 0)), lambda event: None, lambda: False)
    assert list(results) == ["guidance 0", "guidance 4", "painter"]
    assert [call[3] for call in painter_under_test.calls[-2:]] == [0, 4]


def test_two_exams_cannot_write_one_folder(tmp_path):
    for run in (exam.run_exam, personalise.run_personalisation_exam):
        with output_lock(tmp_path / "out"), pytest.raises(Locked):
            run(tmp_path / "out", ExamOptions(), lambda event: None, lambda: False)


def test_a_sheet_of_answers_shows_64_of_them_and_what_they_lack(monkeypatch, tmp_path):
    scene = Scene(subject="mug", colour="red", place="park")
    prompts = tuple(ExamPrompt("one", f"mug {number}", {}, scene) for number in range(128))
    verdicts = [{"subject": True, "extra_colour": True}] * 128
    verdicts[2] = {"subject": False, "extra_colour": False}
    drawn = []
    monkeypatch.setattr(exam, "write_sheet", lambda *given: drawn.append(given))
    exam.write_answer_sheet(tmp_path / "a.png", ExamResult(prompts, tuple(verdicts)), np.arange(128))
    ((path, pixels, captions, notes),) = drawn
    assert path == tmp_path / "a.png" and pixels == list(range(0, 128, 2))
    assert captions == [f"mug {number}" for number in range(0, 128, 2)]
    assert notes == ["", "no subject, extra colour", *[""] * 62]


@pytest.mark.parametrize("kind", ["exam", "personalise"])
def test_the_report_of_its_kind_is_recorded_beside_the_weights(starter, tmp_path, monkeypatch, kind):
    model, out = tmp_path / "model", tmp_path / "out"
    for folder in (model, out):
        folder.mkdir()
    (model / "judge").mkdir()
    (model / "judge" / "model.safetensors").touch()
    shutil.copyfile(starter / "scores.json", model / "scores.json")
    for name in ("exam", "personalise"):
        (out / f"{name}.json").write_text(f'"{name}"')
        (out / f"{name}.md").write_text(f"## A new {name}\n")
    monkeypatch.setattr(loading, "resolve", lambda reference: SimpleNamespace(location=model))
    exam.record_exam(out, ExamOptions(model="mine", personalise=kind == "personalise"))
    assert {path.name for path in model.glob("*.*")} == {"README.md", "scores.json", f"{kind}.json", f"{kind}.md"}
    assert (model / f"{kind}.json").read_text() == f'"{kind}"'
    assert f"## A new {kind}" in (model / "README.md").read_text()


def test_limits_of_the_options():
    ExamOptions(guidance=(0, 100), steps=1000, questions=512)
    ExamOptions(steps=1, guidance=(5,), personalise=True)
    ExamOptions(questions=1)
    assert ExamOptions().precision == "auto" and ExamOptions().model == "starter"
    for wrong in ({"guidance": (100.1,)}, {"guidance": (-0.1,)}, {"steps": 1001}, {"steps": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ExamOptions(**wrong)


def test_the_sheet_is_of_the_named_model_with_its_prompts(tmp_path, monkeypatch):
    class Model:
        def generate(self, stage, prompts):
            assert (stage, prompts) == ("generating", sheet.PROMPTS)
            return np.stack([np.full((128, 128, 3), number, np.uint8) for number in range(len(prompts))])

    loaded, drawn = [], []
    monkeypatch.setattr(sheet.ModelUnderTest, "load", lambda *given: loaded.append(given) or Model())
    monkeypatch.setattr(sheet, "draw_contact_sheet", lambda *given: drawn.append(given) or Image.new("RGB", (8, 8)))
    listener, stop = (lambda event: None), (lambda: False)
    out = sheet.write_showcase(tmp_path / "new" / "sheet.png", listener, stop, "mine")
    assert loaded == [(ExamOptions(model="mine"), listener, stop)]
    ((tiles, columns, *_),) = drawn
    assert columns == 8 and tuple(tile.label for tile in tiles) == sheet.PROMPTS and not any(t.note for t in tiles)
    assert [tile.image.getpixel((0, 0))[0] for tile in tiles] == list(range(32))
    with Image.open(out) as image:
        assert "digitalsourcetype/compositeSynthetic<" in image.info["XML:com.adobe.xmp"]


def test_a_sheet_has_the_given_columns_and_notes(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(sheet, "draw_contact_sheet", lambda *given: drawn.append(given) or Image.new("RGB", (8, 8)))
    sheet.write_sheet(tmp_path / "a.png", [np.zeros((4, 4, 3), np.uint8)] * 2, ["a", "b"], ["", "no place"], columns=3)
    ((tiles, columns, *_),) = drawn
    assert columns == 3 and [(tile.label, tile.note) for tile in tiles] == [("a", ""), ("b", "no place")]
