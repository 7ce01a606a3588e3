"""What compare.html, compare.json and compare.csv show, from results made by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from limner.core.metrics import ImageSet, MetricResult
from limner.core.requests import AdapterUse, CompareRequest
from limner.core.workspace import Workspace
from limner.engine.compare import compare, report
from limner.engine.compare.blind_page import VoterTexts
from limner.engine.compare.contestants import ModelWithAdapters
from limner.engine.compare.result import ComparisonResult, differences, prompts_and_seeds
from limner.engine.compare.subject import ComparedSubjects, PromptSubject

NAMES = ("plain", "rex", "max")
FIGURE: Any = SimpleNamespace(page=lambda: "all")
TEXTS = VoterTexts({})


def scored(metric: str, values: Any, better: Any = "higher", unit: Any = "picture") -> MetricResult:
    values = tuple(map(float, values))
    mean = float(np.mean(values))
    return MetricResult(metric, f"the {metric}", better, unit, None, mean, mean - 1, mean + 1, values)


def compared(names: tuple[str, ...] = NAMES, **fields: Any) -> ComparisonResult:
    """Of every contestant but the first, "sharp" is 10 higher and "dull" the same."""
    asked = {"contestants": names, "prompt": [f"prompt {n}" for n in range(3)], "count": 2, "seed": 7}
    request = CompareRequest.model_validate(asked | fields)
    every = prompts_and_seeds(request)
    scores = {
        name: {
            "sharp": scored("sharp", [n + 10 * place + 0.01 * n * place for n in range(len(every))]),
            "alike": scored("alike", [place], "lower", "set"),
            "dull": scored("dull", np.tile([0, 1], len(every))[: len(every)], None),
        }
        for place, name in enumerate(names)
    }
    pictures = {name: {each: Path("out", name, f"{each[0]} {each[1]}.png") for each in every} for name in names}
    contestants = tuple(ModelWithAdapters(name, name, f"{name} model", None, ()) for name in names)
    return ComparisonResult(request, contestants, pictures, scores, tuple(differences(scores)))


@pytest.fixture(autouse=True)
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images stand as their names, and plots by what they show."""
    monkeypatch.setattr(report, "file_data_url", lambda path, side: f"{path.parent.name}: {path.stem}")
    monkeypatch.setattr(report, "sha256_of", lambda path: f"hash of {path.parent.name}: {path.stem}")
    monkeypatch.setattr(report, "forest_svg", lambda intervals, label: (label, list(intervals)))


def test_json_and_table_have_each_contestants_own_values() -> None:
    result = compared()
    found, (header, rows) = report._numbers(result, Path("out")), report._table(result, Path("out"))
    assert header == ["contestant", "prompt", "seed", "picture", "sharp", "dull"]
    every = [(name, *each) for name in NAMES for each in prompts_and_seeds(result.request)]
    assert [tuple(row[:4]) for row in rows] == [(n, p, seed, f"{n}/{p} {seed}.png") for n, p, seed in every]
    for name, place in zip(NAMES, range(3), strict=True):
        mine = [float(row[4]) for row in rows if row[0] == name]
        assert mine == [n + 10 * place + 0.01 * n * place for n in range(6)]
        numbers = found["contestants"][place]
        assert (numbers["name"], numbers["model"]) == (name, f"{name} model")
        assert numbers["scores"]["sharp"]["values"] == mine and numbers["scores"]["alike"]["values"] == [place]
        assert numbers["pictures"][3] == {
            "prompt": "prompt 1",
            "seed": 8,
            "path": f"{name}/prompt 1 8.png",
            "sha256": f"hash of {name}: prompt 1 8",
        }
    assert [(each["other"], each["metric"]) for each in found["differences"]] == [
        (other, metric) for metric in ("sharp", "alike", "dull") for other in NAMES[1:]
    ]
    assert found["request"]["seed"] == 7


def test_the_page_has_a_plot_for_each_metric_and_a_slide_for_each_prompt_and_seed() -> None:
    page = report._page(compared(), FIGURE)
    assert page["title"] == "plain, rex and max" and page["first"] == "plain" and page["fewest"] == 6
    assert page["metrics"] == [("the sharp", "higher"), ("the alike", "lower"), ("the dull", None)]
    assert [(name, figures[1]) for name, figures in page["scores"]] == [
        ("plain", "0.00 [-1.00, 1.00]"),
        ("rex", "1.00 [0.00, 2.00]"),
        ("max", "2.00 [1.00, 3.00]"),
    ]
    plots = {label: [(line.name, line.highlighted) for line in lines] for label, lines in page["plots"]}
    assert plots == {
        "the sharp, difference from plain": [("rex", False), ("max", False)],
        "the alike, difference from plain": [("rex", False), ("max", False)],
        "the dull, difference from plain": [("rex", False), ("max", False)],
    }
    assert page["prompts_plot"] is None, "it is between two"
    assert [(each["prompt"], each["seed"]) for each in page["slides"]] == [
        (f"prompt {n}", seed) for n in range(3) for seed in (7, 8)
    ]
    assert page["slides"][1]["pictures"] == [f"{name}: prompt 0 8" for name in NAMES]
    assert page["figure"] == "all"
    two = report._page(compared(NAMES[:2]), FIGURE)
    ((_, lines), *_) = two["plots"]
    assert [line.highlighted for line in lines] == [True], "for two differences at once, six pairs are too few"
    assert two["title"] == "plain against rex" and two["prompts_plot"] is not None


def test_the_figure_has_twelve_prompts_and_names_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(report, "ImageGrid", lambda *given: drawn.extend(given))
    monkeypatch.setattr(report, "open_image", lambda path: f"{path.parent.name}: {path.stem}")
    report._figure(compared(NAMES[:2], prompt=[f"prompt {n}" for n in range(24)], steps=5, guidance=3))
    prompts, groups, cells, caption, _ = drawn
    assert prompts == [f"prompt {2 * n}" for n in range(12)]
    assert [(each.heading, each.columns) for each in groups] == [(n, ("seed 7", "seed 8")) for n in NAMES[:2]]
    assert cells[1] == [f"{name}: prompt 2 {seed}" for name in NAMES[:2] for seed in (7, 8)]
    assert caption == "12 of 24 prompts; 5 steps, guidance 3; made by AI."
    drawn.clear()
    report._figure(compared(NAMES[:2], steps=5, guidance=3))
    assert drawn[3] == "5 steps, guidance 3; made by AI."


def test_the_blind_page_has_the_pairs_that_were_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[Any] = []

    class Writer:
        def __init__(self, *arguments: Any) -> None: ...

        def figure(self, *arguments: Any) -> Path:
            return tmp_path

        def __getattr__(self, name: str) -> Any:
            return lambda *arguments, **named: None

    monkeypatch.setattr(report, "ReportWriter", Writer)
    monkeypatch.setattr(report, "_figure", lambda result: SimpleNamespace(draw=lambda: None, page=lambda: None))
    monkeypatch.setattr(report, "write_blind_page", lambda *arguments: given.extend(arguments) or (tmp_path, tmp_path))
    result = compared(pairs=20, seed=5)
    workspace = Workspace("test", tmp_path, tmp_path, tmp_path)
    report.write_report(result, TEXTS, Path("out"), workspace, lambda event: None)
    assert given == [Path("out"), list(NAMES), [result.images[name] for name in NAMES], 20, 5, TEXTS]


def test_every_contestant_is_scored_with_the_same_metrics_and_photographs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, painted: Path
) -> None:
    """In folders numbered from 1, and reported by the names that the user gave."""
    opened: list[Any] = []
    scoredsets: list[ImageSet] = []
    written: list[Any] = []

    class Scorers:
        def __init__(self, *given: Any) -> None:
            opened.extend(given)

        def check(self, gallery: ImageSet) -> None:
            scoredsets.append(gallery)

        def score(self, gallery: ImageSet) -> dict[str, MetricResult]:
            scoredsets.append(gallery)
            return {"sharp": scored("sharp", range(len(gallery.items)))}

    def generate(name: str, parts: Any, workspace: Workspace, emit: Any) -> list[dict[int, Path]]:
        return [{seed: part.folder / f"{part.request.prompt} {seed}.png" for seed in part.seeds} for part in parts]

    found = [
        ModelWithAdapters("a/b", "a/b", "blob", None, (AdapterUse(path="held", weight=0.5),)),
        ModelWithAdapters("c", "c", "other", None, ()),
    ]
    monkeypatch.setattr(compare, "Scorers", Scorers)
    monkeypatch.setattr(compare, "generate_parts", generate)
    monkeypatch.setattr(compare, "find_contestants", lambda request, called: found)
    monkeypatch.setattr(compare, "write_report", lambda *given: written.extend(given))
    subjects = ComparedSubjects({"a/b": PromptSubject(None, "cat")}, PromptSubject(None, "cat"), ())
    monkeypatch.setattr(compare.ComparedSubjects, "of", lambda request, contestants: subjects)
    names = {"blob": "my model", "held": "my adapter"}
    execution = SimpleNamespace(device="cuda:3")
    workspace: Any = SimpleNamespace(
        out=tmp_path / "out",
        called=lambda path: names.get(path, path),
        execution=execution,
        check=lambda: None,
        local=False,
    )
    monkeypatch.setattr(compare, "body_of", lambda request, execution: request)
    request = CompareRequest.model_validate(
        {
            "contestants": ["x", "y"],
            "prompt": ["one", "two"],
            "count": 2,
            "encoder": "my encoder",
            "references": str(painted),
            "metric": ["sharpness"],
        }
    )
    compare.compare(request, workspace, lambda event: None)
    assert opened == [request.metric, "my encoder", workspace.called, "cuda:3"]
    photographs = tuple(sorted(painted.glob("*.png")))
    assert [each.references for each in scoredsets] == [photographs] * 3
    assert [each.prompt for each in scoredsets[0].items] == ["one", "one", "two", "two"]
    for gallery, folder in zip(scoredsets[1:], ("1-a-b", "2-c"), strict=True):
        assert [(each.path.parent, each.path.name, each.prompt, each.group) for each in gallery.items] == [
            (tmp_path / "out/pictures" / folder, f"{prompt} {seed}.png", prompt, prompt)
            for prompt in ("one", "two")
            for seed in (42, 43)
        ]
    result, texts, out, *_ = written
    assert (texts.prompts, texts.photos) == ({"one": "one", "two": "two"}, photographs) and out == tmp_path / "out"
    assert [(each.model, [use.path for use in each.adapters]) for each in result.contestants] == [
        ("my model", ["my adapter"]),
        ("other", []),
    ]
    assert list(result.images) == list(result.scores) == ["a/b", "c"]
    assert [(each.first, each.other) for each in result.differences] == [("a/b", "c")]
