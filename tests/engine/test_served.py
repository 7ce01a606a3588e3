"""Evaluations by group, on a tiny model: what is painted, told, required and refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner import Studio
from limner.core.errors import LimnerError
from limner.core.events import Notice
from limner.core.requests import EvaluateRequest
from limner.core.requests.evaluate import FilledPrompt, Requirement
from limner.engine.evaluate import group_scores
from limner.engine.scoring import encoders
from limner.stats.group_fairness import fairness

HOSTILE = "<b>dog</b>"
PROMPTS = ("a photo of a {group} in the park", "a tree", "a {group} with {}")


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory: pytest.TempPathFactory, tiny_sd: Path, starter: Path) -> Callable[..., dict[str, Any]]:
    """Evaluate the tiny model by group; what lies in the module's folder is not painted again."""
    home, out = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("results") / "out"

    def run(**fields: object) -> dict[str, Any]:
        asked = {"target": str(tiny_sd), "steps": 2, "count": 3, "prompt": PROMPTS, "class_word": "ball"}
        request = EvaluateRequest.model_validate(asked | {"groups": ["cat", HOSTILE]} | fields)
        events: list[Any] = []
        Studio(home).run(request, out, listener=events.append)
        told = json.loads((out / "report.json").read_text(encoding="utf-8"))
        return told | {"page": (out / "report.html").read_text(encoding="utf-8"), "events": events, "out": out}

    return run


@pytest.fixture(scope="module")
def told(evaluate: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return evaluate()


def test_each_group_is_painted_from_the_same_seeds(told: dict[str, Any]) -> None:
    assert [(each["prompt"], each["group"]) for each in told["pictures"]] == [
        *[("a photo of a cat in the park", "cat")] * 3,
        *[(f"a photo of a {HOSTILE} in the park", HOSTILE)] * 3,
        *[("a tree", None)] * 3,
        *[("a cat with ball", "cat")] * 3,
        *[(f"a {HOSTILE} with ball", HOSTILE)] * 3,
    ]
    assert len(list((told["out"] / "pictures").rglob("*.png"))) == 15


def test_every_score_of_pictures_is_told_by_group(told: dict[str, Any]) -> None:
    found = told["fairness"]
    assert found["groups"] == ["cat", HOSTILE]
    assert "prompt_fidelity" in found["metrics"] and "diversity" not in found["metrics"]
    for name, each in found["metrics"].items():
        values = np.array(told["scores"][name]["values"])
        rows = {"cat": values[[0, 1, 2, 9, 10, 11]].tolist(), HOSTILE: values[[3, 4, 5, 12, 13, 14]].tolist()}
        wanted = fairness(name, rows, each["better"], paired=True)
        assert (each["gap"], each["chance"], each["worst"]) == (wanted.gap, wanted.chance, wanted.worst)
        assert [group["mean"] for group in each["groups"]] == [np.mean(row) for row in rows.values()]
    judged = found["mistaken"]
    wrong = sum(sum(others.values()) for others in judged["taken_for"].values())
    assert judged["encoder"] == "starter" and judged["by_guessing"] == 0.5
    assert judged["all"]["share"] == pytest.approx(wrong / 12)


def test_the_page_has_a_section_and_no_markup_of_a_group(told: dict[str, Any]) -> None:
    page = told["page"]
    assert "Does it serve all alike?" in page and "By the encoder starter" in page
    assert page.count("<li") == len(told["fairness"]["metrics"]) + 1
    assert HOSTILE not in page and "&lt;b&gt;dog" in page
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)[^"']""", page)


def test_what_is_required_of_groups_is_held_against_them(evaluate: Callable[..., dict[str, Any]]) -> None:
    fields = {"metric": ["prompt_fidelity", "saturation"]}
    told = evaluate(**fields, require=["prompt_fidelity.gap<=0", "mistaken<=1", "saturation>=0", "mistaken.gap>1"])
    found = told["fairness"]
    assert [(each["requirement"], each["mean"], each["met"]) for each in told["requirements"]] == [
        ("prompt_fidelity.gap<=0", found["metrics"]["prompt_fidelity"]["gap"], False),
        ("mistaken<=1", found["mistaken"]["all"]["share"], True),
        ("saturation>=0", told["scores"]["saturation"]["mean"], True),
        ("mistaken.gap>1", found["mistaken"]["gap"], False),
    ]
    assert not told["passed"] and "Not met: prompt_fidelity.gap<=0" in told["verdict"]


def test_without_groups_nothing_is_said_of_them(evaluate: Callable[..., dict[str, Any]]) -> None:
    told = evaluate(prompt=["a tree"], groups=(), metric=["saturation"])
    assert told["fairness"] is None and "serve all alike" not in told["page"] + told["verdict"]


class Deaf:
    """An encoder to which all texts are one."""

    def texts(self, texts: list[str]) -> Any:
        return encoders.torch.ones(len(texts), 1)

    def images(self, pictures: list[Path]) -> Any:
        return encoders.torch.ones(len(pictures), 1)

    name = "deaf"


def test_an_encoder_that_knows_no_difference_does_not_judge(
    evaluate: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_scores, "open_encoder", lambda name: Deaf())
    told = evaluate(metric=["saturation"])
    assert told["fairness"]["mistaken"] is None and "was not asked whose picture is whose" in told["page"]
    notices = [event.text for event in told["events"] if isinstance(event, Notice)]
    assert any("'deaf' reads" in text and "as one text" in text for text in notices)
    with pytest.raises(LimnerError, match=r"mistaken<=0.5 is required, and the encoder 'deaf' reads"):
        evaluate(metric=["saturation"], require=["mistaken<=0.5"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metric": ["diversity"], "require": ["diversity.gap<=1"]}, "diversity is not told by group"),
        ({"require": ["diversity.gap<=1"]}, "diversity is not told by group"),
    ],
)
def test_a_gap_that_is_none_is_refused(
    evaluate: Callable[..., dict[str, Any]], fields: dict[str, object], said: str
) -> None:
    with pytest.raises(LimnerError, match=said):
        evaluate(**fields)


def test_a_gap_that_is_hardly_chance_is_in_the_verdict() -> None:
    values = {"cat": [0.1 + 0.001 * i for i in range(12)], "dog": [0.3 + 0.001 * i for i in range(12)]}
    found = group_scores.Served(
        group_scores.grouped(
            [FilledPrompt("a cat", "a {group}", "cat"), FilledPrompt("a dog", "a {group}", "dog")], ["a", "b"], 12
        ),
        {"sharpness": "sharpness", "saturation": "saturation"},
        {
            "sharpness": fairness("sharpness", values, "higher", paired=True),
            "saturation": fairness("saturation", values, None, paired=True),
        },
        None,
    )
    (said,) = found.parted
    assert said.startswith("sharpness is 0.31 for dog and 0.11 for cat; chance hardly explains this gap of 0.20 [")
    assert found.value(Requirement.model_validate("sharpness.gap<=0.3")) == pytest.approx(0.2)
    assert found.group_of[12] == "dog"


def test_too_few_pictures_are_told() -> None:
    each = fairness("sharpness", {"cat": [0.1, 0.2, 0.1, 0.2], "dog": [5.0, 6.0, 5.0, 6.0]}, paired=True)
    filled = [FilledPrompt("a cat", "a {group}", "cat"), FilledPrompt("a dog", "a {group}", "dog")]
    found = group_scores.Served(
        group_scores.grouped(filled, ["a", "b"], 4), {"sharpness": "sharpness"}, {"sharpness": each}, None
    )
    assert "4 pictures of each are too few to tell" in group_scores.gap_told("sharpness", each)
    assert found.verdict == "Of cat, dog there are too few pictures to tell whether all are served alike."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prompt", "a {group}"], "give --groups"),
        (["--prompt", "a cat", "--groups", "cat,dog"], "no prompt has a place for them; write {group}"),
        (["--prompt", "a {group}", "--groups", "cat"], "'cat' is the only one"),
        (["--prompt", "a cat", "--influence"], "give it by --dataset"),
        (
            ["--prompt", "a cat", "--influence", "--dataset", "DATA"],
            "leave it out by --no-influence",
        ),
    ],
)
def test_mistakes_are_one_line(limner: Any, tiny_sd: Path, painted: Path, arguments: list[str], said: str) -> None:
    typed = [str(painted) if each == "DATA" else each for each in arguments]
    found = limner("evaluate", tiny_sd, *typed, "--steps", 2, "--metric", "saturation")
    assert found.code == 2 and said in found.error
