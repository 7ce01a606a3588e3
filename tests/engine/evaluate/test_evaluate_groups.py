"""Evaluations by group on a tiny model: images, reports, requirements and errors."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from limner import Studio
from limner.core.errors import LimnerError
from limner.core.events import Notice
from limner.core.metrics import ImageSet, MetricResult, ScoredImage
from limner.core.requests import EvaluateRequest
from limner.core.requests.evaluate import FilledPrompt, Requirement
from limner.engine.evaluate import group_fairness
from limner.engine.scoring import encoders
from limner.stats.group_fairness import GroupConfusion, GroupGap, GroupMean, group_gap

HOSTILE = "<b>dog</b>"
PROMPTS = ("a photo of a {group} in the park", "a tree", "a {group} with {}")


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory: pytest.TempPathFactory, tiny_sd: Path, starter: Path) -> Callable[..., dict[str, Any]]:
    """Evaluate the tiny model by group, reusing the images in the module's folder."""
    home, out = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("results") / "out"

    def run(**fields: object) -> dict[str, Any]:
        asked = {"target": str(tiny_sd), "steps": 2, "count": 3, "prompt": PROMPTS, "class_word": "ball"}
        request = EvaluateRequest.model_validate(asked | {"groups": ["cat", HOSTILE]} | fields)
        events: list[Any] = []
        Studio(home).run(request, out, listener=events.append)
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        return report | {"page": (out / "report.html").read_text(encoding="utf-8"), "events": events, "out": out}

    return run


@pytest.fixture(scope="module")
def report(evaluate: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return evaluate()


def test_each_group_has_the_same_seeds(report: dict[str, Any]) -> None:
    assert [(each["prompt"], each["group"]) for each in report["pictures"]] == [
        *[("a photo of a cat in the park", "cat")] * 3,
        *[(f"a photo of a {HOSTILE} in the park", HOSTILE)] * 3,
        *[("a tree", None)] * 3,
        *[("a cat with ball", "cat")] * 3,
        *[(f"a {HOSTILE} with ball", HOSTILE)] * 3,
    ]
    assert len(list((report["out"] / "pictures").rglob("*.png"))) == 15


def test_every_image_metric_is_reported_by_group(report: dict[str, Any]) -> None:
    found = report["fairness"]
    assert found["groups"] == ["cat", HOSTILE]
    assert "prompt_fidelity" in found["metrics"] and "diversity" not in found["metrics"]
    for name, each in found["metrics"].items():
        values = np.array(report["scores"][name]["values"])
        rows = {"cat": values[[0, 1, 2, 9, 10, 11]].tolist(), HOSTILE: values[[3, 4, 5, 12, 13, 14]].tolist()}
        wanted = group_gap(name, rows, each["better"], paired=True)
        assert (each["gap"], each["chance"], each["worst"]) == (wanted.gap, wanted.p_value, wanted.worst)
        assert [group["mean"] for group in each["groups"]] == [np.mean(row) for row in rows.values()]
    judged = found["mistaken"]
    wrong = sum(sum(others.values()) for others in judged["taken_for"].values())
    assert judged["encoder"] == "starter" and judged["by_guessing"] == 0.5
    assert judged["all"]["share"] == pytest.approx(wrong / 12)


def test_the_page_has_a_section_without_markup_of_a_group(report: dict[str, Any]) -> None:
    page = report["page"]
    assert "Are all groups served equally well?" in page and "According to the encoder starter" in page
    assert page.count("<li") == len(report["fairness"]["metrics"]) + 1
    assert HOSTILE not in page and "&lt;b&gt;dog" in page
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)[^"']""", page)


def test_requirements_on_groups_are_checked(evaluate: Callable[..., dict[str, Any]]) -> None:
    fields = {"metric": ["prompt_fidelity", "saturation"]}
    report = evaluate(**fields, require=["prompt_fidelity.gap<=0", "mistaken<=1", "saturation>=0", "mistaken.gap>1"])
    found = report["fairness"]
    assert [(each["requirement"], each["mean"], each["met"]) for each in report["requirements"]] == [
        ("prompt_fidelity.gap<=0", found["metrics"]["prompt_fidelity"]["gap"], False),
        ("mistaken<=1", found["mistaken"]["all"]["share"], True),
        ("saturation>=0", report["scores"]["saturation"]["mean"], True),
        ("mistaken.gap>1", found["mistaken"]["gap"], False),
    ]
    assert not report["passed"] and "Not met: prompt_fidelity.gap<=0" in report["verdict"]


def test_without_groups_there_is_no_section(evaluate: Callable[..., dict[str, Any]]) -> None:
    report = evaluate(prompt=["a tree"], groups=(), metric=["saturation"])
    assert report["fairness"] is None and "served equally well" not in report["page"] + report["verdict"]


class Deaf:
    """An encoder that cannot distinguish any texts."""

    def texts(self, texts: list[str]) -> Any:
        return encoders.torch.ones(len(texts), 1)

    def images(self, pictures: list[Path]) -> Any:
        return encoders.torch.ones(len(pictures), 1)

    name = "deaf"


def test_an_encoder_that_cannot_distinguish_groups_is_not_used(
    evaluate: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_fairness.Scorers, "encoder", lambda self, name: Deaf())
    report = evaluate(metric=["saturation"])
    assert report["fairness"]["mistaken"] is None and "so misclassified images are not counted" in report["page"]
    notices = [event.text for event in report["events"] if isinstance(event, Notice)]
    assert any("the encoder 'deaf' cannot distinguish the prompts" in text for text in notices)
    with pytest.raises(LimnerError, match=r"mistaken<=0.5 is required, but the encoder 'deaf' cannot distinguish"):
        evaluate(metric=["saturation"], require=["mistaken<=0.5"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metric": ["diversity"], "require": ["diversity.gap<=1"]}, "diversity has no values by group"),
        ({"require": ["diversity.gap<=1"]}, "diversity has no values by group"),
    ],
)
def test_a_gap_of_a_group_metric_is_refused(
    evaluate: Callable[..., dict[str, Any]], fields: dict[str, object], message: str
) -> None:
    with pytest.raises(LimnerError, match=message):
        evaluate(**fields)


def test_a_significant_gap_is_in_the_verdict() -> None:
    values = {"cat": [0.1 + 0.001 * i for i in range(12)], "dog": [0.3 + 0.001 * i for i in range(12)]}
    found = group_fairness.GroupFairness(
        group_fairness.group_images(
            [FilledPrompt("a cat", "a {group}", "cat"), FilledPrompt("a dog", "a {group}", "dog")], ["a", "b"], 12
        ),
        {"sharpness": "sharpness", "saturation": "saturation"},
        {
            "sharpness": group_gap("sharpness", values, "higher", paired=True),
            "saturation": group_gap("saturation", values, None, paired=True),
        },
        None,
    )
    (sentence,) = found.significant_gaps
    assert sentence.startswith("sharpness is 0.31 for dog and 0.11 for cat; this gap of 0.20 [")
    assert found.value(Requirement.model_validate("sharpness.gap<=0.3")) == pytest.approx(0.2)
    assert found.group_of[12] == "dog"


def test_too_few_images_are_reported() -> None:
    each = group_gap("sharpness", {"cat": [0.1, 0.2, 0.1, 0.2], "dog": [5.0, 6.0, 5.0, 6.0]}, paired=True)
    filled = [FilledPrompt("a cat", "a {group}", "cat"), FilledPrompt("a dog", "a {group}", "dog")]
    found = group_fairness.GroupFairness(
        group_fairness.group_images(filled, ["a", "b"], 4), {"sharpness": "sharpness"}, {"sharpness": each}, None
    )
    assert "4 images per group are too few to say" in group_fairness.gap_sentence("sharpness", each)
    assert found.verdict == "There are too few images of cat, dog to compare the groups."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", "a {group}"], "give --groups"),
        (["--prompt", "a cat", "--groups", "cat,dog"], "no prompt has a place for them; write {group}"),
        (["--prompt", "a {group}", "--groups", "cat"], "'cat' is the only one"),
        (["--prompt", "a cat", "--influence"], "give it by --dataset"),
        (
            ["--prompt", "a cat", "--influence", "--dataset", "DATA"],
            "leave it out with --no-influence",
        ),
    ],
)
def test_mistakes_are_one_line(limner: Any, tiny_sd: Path, painted: Path, arguments: list[str], message: str) -> None:
    typed = [str(painted) if each == "DATA" else each for each in arguments]
    found = limner("evaluate", tiny_sd, *typed, "--steps", 2, "--metric", "saturation")
    assert found.code == 2 and message in found.error


def gap_of(chance: float, better: Any = "higher", worst: str = "cat", gap: float = 0.25) -> GroupGap:
    groups = (GroupMean("cat", 9, 0.5, 0.4, 0.6), GroupMean("dog", 9, 0.75, 0.7, 0.8), GroupMean("cow", 9, 0.6, 0, 1))
    best = "dog" if worst == "cat" else "cat"
    return GroupGap("f", groups, best, worst, gap, 0.123, 0.4567, chance, 0.001, better)


def fairness(confusion: GroupConfusion | None = None, **gaps: GroupGap) -> group_fairness.GroupFairness:
    filled = [FilledPrompt(f"a {name}", "a {group}", name) for name in ("cat", "dog", "cow")]
    images = group_fairness.group_images(filled, ["a", "b", "c"], 9)
    return group_fairness.GroupFairness(images, {name: f"the {name}" for name in gaps}, gaps, confusion)


def test_the_page_highlights_the_worst_group_of_a_gap_that_is_no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(group_fairness, "panels_svg", lambda panels, label: drawn.extend(panels))
    bad, chance, neutral = gap_of(0.0004), gap_of(0.2), gap_of(0.001, better=None)
    page = fairness(bad=bad, chance=chance, neutral=neutral).page()
    assert (page["names"], page["count"], page["confusion"]) == (["cat", "dog", "cow"], 9, None)
    assert [bad for _, bad in page["sentences"]] == [True, False, False]
    assert page["sentences"][0][0].startswith("The bad is 0.75 for dog and 0.50 for cat; this gap of 0.25 [0.12, 0.46]")
    assert [(panel.title, [line.highlighted for line in panel.intervals]) for panel in drawn] == [
        ("the bad", [True, False, False]),
        ("the chance", [False] * 3),
        ("the neutral", [False] * 3),
    ]
    assert page["rows"] == [
        {
            "title": f"the {name}",
            "means": ["0.5 [0.4, 0.6]", "0.75 [0.7, 0.8]", "0.6 [0, 1]"],
            "gap": "0.25 [0.12, 0.46]",
            "worst": worst,
            "p_value": p_value,
            "bad": name == "bad",
        }
        for name, worst, p_value in (("bad", "cat", "< 0.001"), ("chance", "cat", "0.200"), ("neutral", "", "0.001"))
    ]
    assert fairness(none=gap_of(1, gap=0.0)).page()["rows"][0]["worst"] == ""


def test_the_page_counts_images_taken_for_another_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_fairness, "panels_svg", lambda panels, label: [panel.title for panel in panels])
    taken = {"cat": {"dog": 2, "cow": 3}, "dog": {"cat": 0, "cow": 0}, "cow": {"cat": 1, "dog": 0}}
    confusion = GroupConfusion("an encoder", 0.22, 0.1, 0.3, gap_of(0.01, "lower", "dog"), taken)
    page = fairness(confusion, f=gap_of(0.2)).page()
    assert page["plot"] == ["the f", "share of misclassified images"]
    assert {name: page["confusion"][name] for name in ("encoder", "share", "guessing")} == {
        "encoder": "an encoder",
        "share": "22%",
        "guessing": "67%",
    }
    assert page["confusion"]["rows"] == [
        {"group": "cat", "share": "50%", "interval": "[40%, 60%]", "wrong": "5 of 9", "mostly": "cow"},
        {"group": "dog", "share": "75%", "interval": "[70%, 80%]", "wrong": "0 of 9", "mostly": ""},
        {"group": "cow", "share": "60%", "interval": "[0%, 100%]", "wrong": "1 of 9", "mostly": "cat"},
    ]
    found = fairness(confusion, f=gap_of(0.2))
    assert found.value(Requirement.model_validate("mistaken<=1")) == 0.22
    assert found.value(Requirement.model_validate("mistaken.gap<=1")) == 0.25


def test_groups_are_compared_pair_by_pair_and_the_encoder_has_the_users_name() -> None:
    """Prompts differ far more than groups do, so that unpaired the gap would be nothing."""
    filled = [FilledPrompt(f"a {name} {n}", "", name) for n in range(6) for name in ("cat", "dog")]
    images = group_fairness.group_images(filled, [each.prompt for each in filled], 1)
    values = tuple(float(10 * (place // 2) + place % 2) for place in range(12))
    scores = {
        "f": MetricResult("f", "the f", "higher", "picture", None, 0, 0, 0, values),
        "set": MetricResult("set", "the set", None, "set", None, 0, 0, 0, (1.0,)),
    }
    found = group_fairness.measure_fairness(images, ImageSet(()), scores, None, ["starter"])
    assert list(found.gaps) == ["f"] and found.gaps["f"].gap == 1 and found.gaps["f"].significant
    gallery = ImageSet(tuple(ScoredImage(Path(f"{each.group}.png")) for each in filled))
    named = group_fairness.measure_fairness(images, gallery, {}, Deaf(), [], lambda path: f"my {path}")  # type: ignore
    assert named.confusion is not None and named.confusion.encoder == "my deaf"


def test_the_verdict_is_of_too_few_images_if_any_gap_has_too_few() -> None:
    few = dataclasses.replace(gap_of(0.2), smallest_p_value=0.1)
    assert fairness(a=gap_of(0.2), b=few).verdict == "There are too few images of cat, dog, cow to compare the groups."
    assert fairness(a=gap_of(0.2)).verdict == "No gap between cat, dog, cow is clearly more than chance."


@pytest.mark.parametrize(
    ("models", "default", "opened"),
    [
        ({"prompt_fidelity=mine": "mine", "aesthetic=x": "x"}, "other", "mine"),
        ({"aesthetic=x": "x"}, "other", "other"),
        ({"prompt_fidelity": None}, None, "starter"),
    ],
)
def test_groups_are_told_apart_by_the_encoder_of_the_prompt_fidelity(
    models: dict[str, str | None], default: str | None, opened: str
) -> None:
    seen: list[str] = []
    scorers: Any = SimpleNamespace(models=models, encoder=lambda name: seen.append(name) or Deaf())
    images = group_fairness.group_images([FilledPrompt(f"a {n}", "", n) for n in ("cat", "dog")], ["cat", "dog"], 1)
    required = [Requirement.model_validate("sharpness.gap<=1")]
    assert group_fairness.confusion_encoder(images, scorers, default, required, lambda event: None) is None
    assert seen == [opened]
