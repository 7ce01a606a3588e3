"""What report.html, report.json and report.csv of an evaluation show, from results made by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from limner.core.metrics import ImageSet, MetricResult, ScoredImage
from limner.core.requests import EvaluateRequest
from limner.data.duplicates.copies import CopyMatch
from limner.engine.evaluate import report, scoresheet
from limner.engine.evaluate.result import EvaluationResult

HALF = 0.25


def scored(metric: str, values: list[float], better: Any = "higher", unit: Any = "picture") -> MetricResult:
    mean = float(np.mean(values))
    bounds = (mean - HALF, mean + HALF) if len(values) > 1 else (-np.inf, np.inf)
    return MetricResult(metric, f"the {metric}", better, unit, None, mean, *bounds, tuple(map(float, values)))


def images(count: int, prompts: int = 1, folder: str = "out") -> tuple[ScoredImage, ...]:
    return tuple(
        ScoredImage(Path(folder, f"{place}.png"), f"a photo {place % prompts}", f"a zwx photo {place % prompts}")
        for place in range(count)
    )


def evaluated(items: tuple[ScoredImage, ...], scores: list[MetricResult], **fields: Any) -> EvaluationResult:
    asked = {"target": "starter", "prompt": ["a {}", "one more", "a third"], "class_word": "cat", "seed": 9}
    require = fields.pop("require", [])
    references, training = fields.pop("references", ()), fields.pop("training_images", ())
    request = EvaluateRequest.model_validate(asked | {"require": require} | fields.pop("asked", {}))
    gallery = ImageSet(items, references, training)
    return EvaluationResult(request, "rex", "zwx cat", gallery, {each.metric: each for each in scores}, **fields)


@pytest.fixture(autouse=True)
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images stand as their names."""
    for module in (report, scoresheet):
        monkeypatch.setattr(module, "file_data_url", lambda path, side: path.name)
        monkeypatch.setattr(module, "sha256_of", lambda path: f"hash of {path.name}")


def test_images_are_ranked_within_their_prompt_by_the_most_telling_metric() -> None:
    fidelity = [0.1 * place for place in (3, 1, 4, 0, 5, 9, 2, 6, 8, 7, 12, 10, 11)]
    scores = [scored("prompt_fidelity", fidelity), scored("subject_fidelity", fidelity[::-1])]
    page = report._page(evaluated(images(13, 3), scores), None)
    assert page["ranked_by"] == "the subject_fidelity"
    assert [each["picture"] for each in page["highest"]] == [f"{place}.png" for place in (0, 2, 3, 1, 7, 4)]
    assert [each["picture"] for each in page["lowest"]] == [f"{place}.png" for place in (11, 9, 10, 6, 12, 8)]
    assert page["highest"][0] == {"picture": "0.png", "prompt": "a zwx photo 0", "value": "1.1"}
    assert page["lowest"][0]["value"] == "0.1"
    few = report._page(evaluated(images(3), [scored("sharpness", [1, 3, 2])]), None)
    assert [[each["picture"] for each in few[end]] for end in ("highest", "lowest")] == [["1.png"], ["0.png"]]


def test_the_page_counts_images_and_prompts_and_states_what_is_required() -> None:
    result = evaluated(
        images(4, 2),
        [scored("sharpness", [1, 2, 3, 4]), scored("saturation", [1, 1, 1, 1], better=None)],
        require=["sharpness>=2.25", "sharpness>=3"],
        references=tuple(Path(f"photo {place}.png") for place in range(30)),
    )
    page = report._page(result, None)
    assert (page["title"], page["count"], page["prompts"], page["subject"]) == ("How good is rex?", 4, 2, "zwx cat")
    assert page["requirements"] == [("sharpness>=2.25", "2.500", True), ("sharpness>=3", "2.500", False)]
    assert page["checklist"] == [
        ("aesthetics", [("the saturation", "1 [0.75, 1.25]", "depends", "")]),
        ("detail", [("the sharpness", "2.5 [2.25, 2.75]", "higher", "")]),
    ]
    assert len(page["photographs"]) == 12 and page["photographs"][-1] == "photo 27.png"
    assert page["copies"] is None and page["pairs"] == [] and page["figure"] is None


def test_other_metrics_are_in_a_part_of_their_own() -> None:
    scores = [scored("sharpness", [1, 2]), scored("my_own", [1, 2]), scored("fid", [3], "lower", "set")]
    found = evaluated(images(2), scores).checklist
    assert {title: [each.metric for each in parts] for title, parts in found.items()} == {
        "detail": ["sharpness"],
        "uniqueness": ["fid"],
        "others": ["my_own"],
    }


def test_the_verdict_has_the_first_three_scores_and_what_is_not_met() -> None:
    scores = [scored(name, [1, 2, 3]) for name in ("sharpness", "saturation", "clipping", "fid")]
    result = evaluated(images(3), scores, require=["sharpness>=1", "clipping<=1"])
    assert result.verdict == (
        "rex: the sharpness 2.000 [1.750, 2.250], the saturation 2.000 [1.750, 2.250], the clipping 2.000 "
        "[1.750, 2.250], over 3 images. Not met: clipping<=1 (it is 2.000)."
    )
    alone = evaluated(images(1), [scored("sharpness", [0.5])], require=["sharpness>=0.5"])
    assert alone.verdict == "rex: the sharpness 0.500, over 1 image. All requirements are met."


def test_only_near_copies_are_shown_the_nearest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    training = (Path("a.png"), Path("b.png"))
    matches = [CopyMatch(training[place % 2], 0.75 + place / 50, place == 5) for place in range(12)]
    compared: list[Any] = []
    monkeypatch.setattr(report, "nearest_copies", lambda *given: compared.extend(given) or matches)
    found = report._copies(evaluated(images(12), [], references=(Path("c.png"),), training_images=training))
    assert compared == [[Path("out", f"{place}.png") for place in range(12)], training]
    assert found is not None and len(found) == 8
    assert [each["picture"] for each in found] == [f"{place}.png" for place in range(11, 3, -1)]
    assert found[0] == {"picture": "11.png", "training_image": "b.png", "likeness": "similarity 0.97"}
    assert [each["likeness"] for each in found if "mirrored" in each["likeness"]] == ["similarity 0.85, mirrored"]
    matches[:] = [CopyMatch(training[0], 0.79, False)] * 12
    assert report._copies(evaluated(images(12), [], training_images=training)) == []
    assert report._copies(evaluated(images(12), [], references=training)) is None, "photos need not be trained on"


def test_the_class_is_shown_before_and_after_training() -> None:
    after, before = images(4, 2), images(4, 2, "base")
    before = tuple(ScoredImage(each.path.with_suffix(".jpg"), each.prompt, each.group) for each in before)
    result = evaluated(images(1), [], class_gallery=ImageSet(after, base=before))
    assert report._class_pairs(result) == [
        {"prompt": "a photo 0", "before": "0.jpg", "after": "0.png"},
        {"prompt": "a photo 1", "before": "1.jpg", "after": "1.png"},
    ]


def test_json_and_table_have_each_image_with_its_own_values() -> None:
    scores = [scored("sharpness", [1, 2, 4]), scored("fid", [3], "lower", "set"), scored("class_drift=x", [7, 8, 9])]
    groups: Any = SimpleNamespace(group_of={1: "dog"}, as_json=lambda: "by group", verdict="")
    result = evaluated(
        images(3, 2), scores, require=["sharpness>=2"], references=(Path("far/away/photo.png"),), groups=groups
    )
    found = report._numbers(result, Path("out"))
    assert found["pictures"] == [
        {
            "path": f"{place}.png",
            "sha256": f"hash of {place}.png",
            "prompt": f"a zwx photo {place % 2}",
            "told_to_encoders": f"a photo {place % 2}",
            "group": "dog" if place == 1 else None,
        }
        for place in range(3)
    ]
    assert found["requirements"] == [{"requirement": "sharpness>=2", "mean": pytest.approx(7 / 3), "met": True}]
    assert (found["photographs"], found["fairness"], found["influence"]) == (["photo.png"], "by group", None)
    assert found["request"]["seed"] == 9 and found["passed"] is True
    header, rows = report._table(result, Path("out"))
    assert header == ["prompt", "picture", "sharpness"], "of the class alone there is no row"
    assert rows == [[f"a zwx photo {place % 2}", f"{place}.png", f"{2.0**place}"] for place in range(3)]


def test_the_figure_has_as_many_columns_as_the_prompt_with_most_images(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(report, "open_image", lambda path: path.name)
    monkeypatch.setattr(report, "ImageGrid", lambda *given: drawn.extend(given))
    items = tuple(ScoredImage(Path(f"{place}.png"), None, f"prompt {max(0, place - 5)}") for place in range(18))
    report._figure(evaluated(items, []))
    prompts, (group,), cells, caption, _ = drawn
    assert prompts == [f"prompt {place}" for place in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)]
    assert caption == "12 of 13 prompts, 18 images in all. Made by AI."
    assert {len(row) for row in cells} == {4} and cells[1] == ["6.png", None, None, None]
    assert (group.heading, group.columns) == ("rex", ("1", "2", "3", "4"))
    drawn.clear()
    report._figure(evaluated(items[5:7], []))
    assert drawn[2] == [["5.png"], ["6.png"]]


def test_the_score_sheet_asks_about_images_without_naming_the_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[str, Any] = {}
    monkeypatch.setattr(scoresheet, "write_page", lambda path, template, **given: written.update(given))
    monkeypatch.setattr(scoresheet, "evaluation_of", lambda hashes: sorted(hashes))
    photographs = tuple(Path(f"photo {place}.png") for place in range(9))
    result = evaluated(images(130, 65), [], references=photographs)
    scoresheet.write_score_sheet(result, Path("out"))
    assert written["evaluation"] == sorted(f"hash of {place}.png" for place in range(130)), "of all, shown or not"
    chosen = scoresheet.choose_items(result.gallery.items, 100, 9)
    assert written["pictures"] == [
        {"sha256": f"hash of {each.path.name}", "prompt": each.prompt, "url": each.path.name} for each in chosen
    ]
    assert written["photographs"] == [f"photo {place}.png" for place in (0, 2, 4, 6)] and written["generated"]
    assert written["questions"][0][1] == "Does it show the subject of the photos, as the prompt asks for?"
    some = tuple(ScoredImage(Path(f"{place}.png"), "a cat" if place else None) for place in range(3))
    scoresheet.write_score_sheet(evaluated(some, [], asked={"prompt": ()}), Path("out"))
    assert not written["generated"] and written["photographs"] == []
    assert [name for name, *_ in written["questions"]] == ["relevance", "aesthetics", "detail", "uniqueness"]
    assert written["questions"][0][1] == "Does it show what the prompt asks for?"
    scoresheet.write_score_sheet(evaluated((ScoredImage(Path("0.png")),), [], asked={"prompt": ()}), Path("out"))
    assert [name for name, *_ in written["questions"]] == ["aesthetics", "detail", "uniqueness"]


def test_whether_requirements_are_met_is_in_the_event(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[Any] = []

    class Writer:
        def __init__(self, *given: Any) -> None: ...

        def figure(self, *given: Any) -> Path:
            return tmp_path / "none"

        def emit_made(self, **details: Any) -> None:
            made.append(details)

        def __getattr__(self, name: str) -> Any:
            return lambda *given, **named: None

    monkeypatch.setattr(report, "ReportWriter", Writer)
    monkeypatch.setattr(report, "_figure", lambda result: SimpleNamespace(draw=lambda: None))
    monkeypatch.setattr(report, "write_score_sheet", lambda result, out: None)
    for require in (["sharpness>=9"], ["sharpness>=1"]):
        result = evaluated(images(2), [scored("sharpness", [1, 2])], require=require)
        report.write_report(result, Path("out"), None, lambda event: None)  # type: ignore[arg-type]
    assert [each["passed"] for each in made] == [False, True] and "Not met" in made[0]["verdict"]
