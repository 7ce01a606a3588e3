"""The exam as commands: short ones, of few questions and few steps."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from limner.core.errors import Interrupted, LimnerError
from limner.models import loading
from limner.starter.card import hashes
from limner.starter.exam import exam as job
from limner.starter.exam import judge_accuracy as judging
from limner.starter.exam import personalise
from limner.starter.exam import personalise as characters
from limner.starter.exam import sheet as showcase
from limner.starter.exam import subject_scores as asks
from limner.starter.exam import subject_scores as likeness
from limner.starter.exam.model import Examinee
from limner.starter.exam.options import Sitting
from limner.starter.painter import CHARACTERS


@pytest.fixture(autouse=True)
def few_pictures_for_the_judge(monkeypatch):
    monkeypatch.setattr(job, "check_judge", lambda judge: judging.check_judge(judge, 16))


def test_the_exam_command(starter, limner, tmp_path):
    flags = ("--questions", 6, "--guidance", 5, "--steps", 2, "--out", tmp_path / "exam")
    printed = limner("starter", "exam", *flags).out
    assert "all right" in printed and "guidance 5" in printed and "painter" in printed and "marks there" in printed
    told = json.loads((tmp_path / "exam" / "exam.json").read_text())
    assert told["questions"] == 6 and set(told["results"]) == {"guidance 5", "painter"}
    assert told["model"]["sha256"] == hashes(starter) and told["model"]["steps"] == 2
    with Image.open(tmp_path / "exam" / "answers-5.png") as sheet:
        assert sheet.width > 1000 and "IPTC" not in sheet.info.get("limner", "")


def test_what_an_exam_found_is_kept_in_the_card(starter, limner, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(starter, model)
    for name in ("exam.json", "exam.md"):
        (model / name).unlink(missing_ok=True)
    flags = ("--questions", 4, "--guidance", 5, "--steps", 1, "--model", model, "--record")
    limner("starter", "exam", *flags, "--out", tmp_path / "exam")
    card = (model / "README.md").read_text()
    assert "## Exam" in card and "4 prompts" in card and "## Weights" in card
    assert json.loads((model / "exam.json").read_text())["model"]["sha256"] == hashes(model)


def test_an_exam_goes_on_where_it_was_stopped(starter, home, tmp_path, monkeypatch):
    sitting = Sitting(guidance=(5.0, 1.5), steps=1, questions=2)
    with pytest.raises(Interrupted):
        job.sit_exam(tmp_path, sitting, lambda event: None, (kept := lambda: any(tmp_path.glob("answers/*"))))
    assert kept()
    painted = []
    whole = job.sit_exam(tmp_path, sitting, lambda event: painted.append(getattr(event, "name", "")), lambda: False)
    assert "guidance 1.5" in painted and "guidance 5" not in painted
    monkeypatch.setattr(Examinee, "answer", None)
    assert job.sit_exam(tmp_path, sitting, lambda event: None, lambda: False) == whole
    with pytest.raises(TypeError):
        job.sit_exam(tmp_path, Sitting(guidance=(5.0,), steps=2, questions=2), lambda event: None, lambda: False)


@pytest.mark.parametrize(
    ("flags", "told"),
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
def test_a_wrong_choice_is_one_line(limner, tmp_path, flags, told):
    said = limner("starter", "exam", *flags, "--out", tmp_path / "exam")
    assert said.code == 2 and told in said.err and len(said.err.strip().splitlines()) == 1
    assert not list(tmp_path.glob("exam/*"))


def test_a_model_that_the_judge_cannot_read_is_refused_before_it_is_taught(limner, tiny_sd, tmp_path):
    said = limner("starter", "exam", "--personalise", "--model", tiny_sd, "--out", tmp_path / "exam")
    assert said.code == 2 and "the judge reads pictures of 128" in said.err
    assert not list(tmp_path.glob("exam/*"))


def test_a_stopped_exam_leaves_nothing_half_written(starter, home, tmp_path):
    with pytest.raises(Interrupted):
        job.sit_exam(tmp_path / "out", Sitting(guidance=(5.0,), steps=1, questions=2), lambda event: None, lambda: True)
    assert not list(tmp_path.glob("out/*"))


def test_personalisation_is_examined(starter, home, tmp_path, monkeypatch):
    training = {"steps": 2, "batch": 2, "prior": False, "warmup": 0}
    few = asks.ASKS[::2]
    for module in (asks, likeness, personalise):
        monkeypatch.setattr(module, "ASKS", few)

    def examine(folder):
        sitting = Sitting(personalise=True, steps=1)
        return personalise.examine_personalisation(
            folder, sitting, lambda event: None, lambda: False, names=("ziggy",), training=training
        )

    scores = examine(tmp_path)
    score = scores["ziggy"]
    assert score.drift.count == asks.DRIFT_PICTURES and score.marks.count > 20
    assert score.prompt.count == score.base_prompt.count == sum(len(ask.values) for ask in asks.ASKS)
    told = json.loads((tmp_path / "personalise.json").read_text())
    assert told["training"] == training and set(told["scores"]) == {"ziggy", "all"}
    assert len(list((tmp_path / "ziggy" / "photographs").glob("*.png"))) == characters.PICTURES
    assert "| ziggy |" in (tmp_path / "personalise.md").read_text() and (tmp_path / "ziggy.png").exists()
    told = [path.read_text() for path in sorted((tmp_path / "ziggy" / "photographs").glob("*.txt"))]
    assert len(told) == characters.PICTURES and "lying down in the city" in told[4]
    assert all("sks" in text and "facing" not in text for text in told)
    monkeypatch.setattr(personalise.Studio, "run", lambda *given, **more: pytest.fail("trained again"))
    assert examine(tmp_path) == scores
    shutil.copytree(tmp_path, moved := tmp_path.with_name("moved"))
    assert examine(moved) == scores


def test_ten_characters_are_examined():
    assert len(set(characters.CHARACTERS)) == 10 and set(characters.CHARACTERS) <= set(CHARACTERS)
    assert len(asks.ASKS) == 20


def test_a_sheet_of_the_starter(starter, limner, tmp_path, monkeypatch):
    monkeypatch.setattr(showcase, "PROMPTS", showcase.PROMPTS[:2])
    assert Path(limner("starter", "sheet", "--out", tmp_path / "sheet.png").out.strip()) == tmp_path / "sheet.png"
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height > 160


def test_a_model_of_another_size_cannot_sit(home, tmp_path, monkeypatch):
    real = loading.load
    monkeypatch.setattr(loading, "load", lambda *given: replace(real(*given), side=512))
    with pytest.raises(LimnerError, match="512"):
        job.sit_exam(tmp_path, Sitting(questions=1), lambda event: None, lambda: False)
