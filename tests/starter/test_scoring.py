"""Scores of the exam: proportions, tables, contact sheets, and the accuracy of the judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import limner.starter
from limner.starter.exam.exam import judge_table
from limner.starter.exam.judge_accuracy import calibration_error, measure_judge
from limner.starter.exam.prompts import ExamPrompt, exam_prompts
from limner.starter.exam.scoring import ExamResult, Proportion, markdown, rows, score_images
from limner.starter.exam.sheet import write_sheet
from limner.starter.exam.subject_scores import SubjectScores, total_scores
from limner.starter.exam.subject_scores import rows as subject_rows
from limner.starter.judge import Judge
from limner.starter.painter import Scene, paint
from limner.starter.pretrain.parts import StarterParts

WEIGHTS = Path(limner.starter.__file__).parent / "weights"
MUG = Scene(subject="mug", colour="red", place="park")
PROMPTS = (
    ExamPrompt("one", "a red mug", {"subject": "mug", "colour": "red"}, MUG),
    ExamPrompt("two", "a red mug in the park", {"subject": "mug", "place": "park"}, MUG),
)


def test_proportions():
    share = Proportion.of([True, True, False, True])
    assert (share.right, share.count, share.value) == (3, 4, 0.75)
    assert Proportion(75, 100).error == pytest.approx(0.085, abs=0.005)
    assert Proportion(3, 4).error > Proportion(75, 100).error
    assert np.isnan(Proportion(0, 0).value)


def test_a_result_counts_attributes_and_whole_images():
    result = ExamResult(PROMPTS, ({"subject": True, "colour": False}, {"subject": True, "place": True}))
    assert result.attributes == {"subject": Proportion(2, 2), "colour": Proportion(0, 1), "place": Proportion(1, 1)}
    assert result.mean == pytest.approx(2 / 3) and result.all_right == Proportion(1, 2)
    assert result.kinds == {"one": Proportion(0, 1), "two": Proportion(1, 1)}
    assert result.as_json()["all right"] == {"right": 1, "count": 2, "share": 0.5}


def test_right_images_score_high_and_wrong_ones_low():
    prompts = [each for each in exam_prompts() if each.kind == "two" and each.scene.style == "illustration"][:24]
    right = np.stack([np.asarray(paint(prompt.scene)) for prompt in prompts])
    judge = Judge.load()
    assert score_images(judge, prompts, right).all_right.value > 0.8
    assert score_images(judge, prompts, np.roll(right, 1, axis=0)).all_right.value < 0.3


def test_tables_have_every_row():
    result = ExamResult(PROMPTS, ({"subject": True, "colour": False}, {"subject": True, "place": True}))
    lines = dict(rows({"5": result, "painter": result}))
    assert lines["subject"] == ["100.0", "100.0"] and lines["colour"][0] == "0.0"
    assert lines["mean per attribute"][0] == "66.7" and lines["all right, two"][0] == "100.0"
    text = markdown("right, %", ["guidance 5", "painter"], list(lines.items()))
    assert text.splitlines()[0] == "| right, % | guidance 5 | painter |" and "| colour | 0.0 | 0.0 |" in text


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    sure = np.full(100, 0.9)
    assert calibration_error(sure, np.arange(100) < 90) == pytest.approx(0)
    assert calibration_error(sure, np.arange(100) < 50) == pytest.approx(0.4)


@pytest.mark.slow
def test_the_accuracy_of_the_judge():
    measured = measure_judge(Judge.load(), StarterParts.load(WEIGHTS).vae, 16)
    assert set(measured) >= {"whole", "blur, 1 px", "noise, 10%", "reconstructed", "shuffled tiles"}
    assert measured["whole"]["attributes"]["subject"] > 0.9
    assert measured["noise, 10%"]["attributes"]["subject"] <= measured["whole"]["attributes"]["subject"] + 0.05
    assert measured["reconstructed"] != measured["whole"]
    columns, lines = judge_table(measured)
    assert columns[0] == "whole" and lines[-1][0] == "calibration error" and len(lines[0][1]) == len(columns)


def test_prompt_scores_are_relative_to_the_base_model():
    def scores(prompt, base):
        return SubjectScores(
            Proportion(1, 2), Proportion(2, 2), Proportion(1, 4), prompt, base, Proportion(0, 8), Proportion(1, 8)
        )

    first, second = scores(Proportion(6, 10), Proportion(8, 10)), scores(Proportion(2, 10), Proportion(2, 10))
    assert first.obeyed == pytest.approx(0.75)
    assert scores(Proportion(6, 10), Proportion(8, 20)).obeyed == pytest.approx(1.5), "of shares, not of counts"
    assert np.isnan(scores(Proportion(1, 2), Proportion(0, 2)).obeyed)
    assert total_scores([first, second]).obeyed == pytest.approx(0.8) and total_scores(
        [first, second]
    ).base_drift == Proportion(2, 16)
    ((_, cells), _) = subject_rows({"ziggy": first})
    assert cells == ["50", "100", "25", "60", "80", "75", "0", "12"]


def test_a_sheet_has_every_image(tmp_path):
    images = [np.full((160, 160, 3), value, np.uint8) for value in (10, 200, 90)]
    write_sheet(tmp_path / "sheet.png", images, ["one", "two " * 30, "three"], ["", "no place", ""], columns=2)
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet)
    assert all((pixels == value).all(-1).sum() >= 160 * 160 for value in (10, 200, 90))
