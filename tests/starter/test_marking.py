"""Counting, tables, the judge's own figures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import ImageFont

from limner.starter.exam.exam import judge_table
from limner.starter.exam.judge_accuracy import calibration_error, check_judge
from limner.starter.exam.prompts import Question, questions
from limner.starter.exam.scoring import Result, Share, mark, markdown, rows
from limner.starter.exam.sheet import contact_sheet, wrap
from limner.starter.exam.subject_scores import Likeness, total
from limner.starter.exam.subject_scores import rows as likeness_rows
from limner.starter.judge import Judge
from limner.starter.painter import Scene, paint

MUG = Scene(subject="mug", colour="red", place="park")
ASKED = (
    Question("one", "a red mug", {"subject": "mug", "colour": "red"}, MUG),
    Question("two", "a red mug in the park", {"subject": "mug", "place": "park"}, MUG),
)


def test_shares():
    share = Share.of([True, True, False, True])
    assert (share.right, share.count, share.value) == (3, 4, 0.75)
    assert Share(75, 100).error == pytest.approx(0.085, abs=0.005)
    assert Share(3, 4).error > Share(75, 100).error
    assert np.isnan(Share(0, 0).value)


def test_a_result_counts_attributes_and_whole_pictures():
    result = Result(ASKED, ({"subject": True, "colour": False}, {"subject": True, "place": True}))
    assert result.attributes == {"subject": Share(2, 2), "colour": Share(0, 1), "place": Share(1, 1)}
    assert result.mean == pytest.approx(2 / 3) and result.all_right == Share(1, 2)
    assert result.kinds == {"one": Share(0, 1), "two": Share(1, 1)}
    told = result.told()
    assert told["all right"] == {"right": 1, "count": 2, "share": 0.5}


def test_the_judge_marks_right_answers_right_and_wrong_ones_wrong():
    asked = [q for q in questions() if q.kind == "two" and q.scene.style == "illustration"][:24]
    right = np.stack([np.asarray(paint(question.scene)) for question in asked])
    judge = Judge.load()
    assert mark(judge, asked, right).all_right.value > 0.8
    assert mark(judge, asked, np.roll(right, 1, axis=0)).all_right.value < 0.3


def test_tables_hold_every_row():
    result = Result(ASKED, ({"subject": True, "colour": False}, {"subject": True, "place": True}))
    lines = dict(rows({"5": result, "painter": result}))
    assert lines["subject"] == ["100.0", "100.0"] and lines["colour"][0] == "0.0"
    assert lines["mean per attribute"][0] == "66.7" and lines["all right, two"][0] == "100.0"
    text = markdown("right, %", ["guidance 5", "painter"], list(lines.items()))
    assert text.splitlines()[0] == "| right, % | guidance 5 | painter |" and "| colour | 0.0 | 0.0 |" in text


def test_calibration_error_is_the_gap_between_promise_and_truth():
    sure = np.full(100, 0.9)
    assert calibration_error(sure, np.arange(100) < 90) == pytest.approx(0)
    assert calibration_error(sure, np.arange(100) < 50) == pytest.approx(0.4)


def test_the_judges_own_figures():
    told = check_judge(Judge.load(), 40)
    assert set(told) >= {"whole", "blur, 1 px", "noise, 10%", "shuffled tiles"}
    assert told["whole"]["attributes"]["subject"] > 0.9
    assert told["noise, 10%"]["attributes"]["subject"] <= told["whole"]["attributes"]["subject"] + 0.05
    columns, lines = judge_table(told)
    assert columns[0] == "whole" and lines[-1][0] == "calibration error" and len(lines[0][1]) == len(columns)


def test_prompts_are_obeyed_as_against_the_base_model():
    def told(prompt, base):
        return Likeness(Share(1, 2), Share(2, 2), Share(1, 4), prompt, base, Share(0, 8), Share(1, 8))

    first, second = told(Share(6, 10), Share(8, 10)), told(Share(2, 10), Share(2, 10))
    assert first.obeyed == pytest.approx(0.75) and np.isnan(told(Share(1, 2), Share(0, 2)).obeyed)
    assert total([first, second]).obeyed == pytest.approx(0.8) and total([first, second]).base_drift == Share(2, 16)
    ((_, cells), _) = likeness_rows({"ziggy": first})
    assert cells == ["50", "100", "25", "60", "80", "75", "0", "12"]


def test_captions_are_as_wide_as_their_picture():
    font, text = ImageFont.load_default(12), "a drawing of teal headphones on a sandy beach by the sea in the moonlight"
    lines = wrap(text, font, 160)
    assert " ".join(lines) == text and len(lines) > 2 and wrap("", font, 160) == []
    assert all(font.getlength(line) <= 160 for line in lines)
    assert all(font.getlength(f"{a} {b.split()[0]}") > 160 for a, b in pairwise(lines))
    assert wrap("unbreakable " * 2, font, 5) == ["unbreakable"] * 2


def test_a_contact_sheet_holds_every_picture():
    pictures = [np.full((128, 128, 3), value, np.uint8) for value in (10, 200, 90)]
    sheet = np.asarray(contact_sheet(pictures, ["one", "two " * 30, "three"], ["", "no place", ""], columns=2, side=64))
    assert all((sheet == value).all(-1).sum() >= 64 * 64 for value in (10, 200, 90))
