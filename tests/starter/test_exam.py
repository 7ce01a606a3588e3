"""The exam commands, with few prompts and few steps."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from limner.core.errors import Interrupted, LimnerError
from limner.models import loading
from limner.starter.card import weight_hashes
from limner.starter.exam import exam, judge_accuracy, personalise, sheet, subject_scores
from limner.starter.exam.model import ModelUnderTest
from limner.starter.exam.options import ExamOptions
from limner.starter.painter import CHARACTERS


@pytest.fixture(autouse=True)
def few_images_for_the_judge(monkeypatch):
    monkeypatch.setattr(exam, "measure_judge", lambda judge: judge_accuracy.measure_judge(judge, 16))


def test_the_exam_command(starter, limner, tmp_path):
    flags = ("--questions", 6, "--guidance", 5, "--steps", 2, "--out", tmp_path / "exam")
    printed = limner("starter", "exam", *flags).out
    assert "all right" in printed and "guidance 5" in printed and "painter" in printed and "marks there" in printed
    report = json.loads((tmp_path / "exam" / "exam.json").read_text())
    assert report["questions"] == 6 and set(report["results"]) == {"guidance 5", "painter"}
    assert report["model"]["sha256"] == weight_hashes(starter) and report["model"]["steps"] == 2
    with Image.open(tmp_path / "exam" / "answers-5.png") as image:
        assert image.width > 1000 and "IPTC" not in image.info.get("limner", "")


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
    assert said.code == 2 and report in said.err and len(said.err.strip().splitlines()) == 1
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
    assert len(captions) == personalise.IMAGES and "lying down in the city" in captions[4]
    assert all("sks" in text and "facing" not in text for text in captions)
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
