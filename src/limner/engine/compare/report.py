"""The report of a comparison: figure, compare.json, compare.csv, compare.html and the blind page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limner.core.choice import evenly
from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind, Emit, Stage
from limner.core.metrics import MetricResult
from limner.core.workspace import Workspace
from limner.engine.compare.blind_page import VoterTexts, write_blind_page
from limner.engine.compare.result import ComparisonResult, PairedDifference, prompts_and_seeds, rounded
from limner.engine.scoring.scorers import scores_as_json
from limner.imaging.decode import open_image
from limner.reports.figure import ColumnGroup, ImageGrid
from limner.reports.interval_plots import MeanInterval, forest_svg
from limner.reports.writer import ReportWriter, file_data_url
from limner.stats.intervals import difference
from limner.stats.paired import pairs_needed
from limner.store.files import sha256_of

PROMPTS, TWO_SEEDS = 12, 3
"""The most prompts in figure and page; the most contestants of which two seeds are shown."""


def write_report(
    result: ComparisonResult,
    texts: VoterTexts,
    out: Path,
    workspace: Workspace,
    emit: Emit,
) -> None:
    """Write all files of the report. texts: of the blind page. Raises LimnerError if moderation withheld the figure."""
    emit(Stage(name="writing"))
    report, request = ReportWriter(out, workspace, emit), result.request
    figure = _figure(result)
    if not report.figure("compare.png", figure.draw()).exists():
        raise LimnerError(
            "the figure of the comparison was withheld by moderation", "leave out the prompts that are refused"
        )
    images = [result.images[name] for name in result.names]
    page, key = write_blind_page(out, result.names, images, request.pairs, request.seed, texts)
    report.json("compare.json", _numbers(result, out))
    header, rows = _table(result, out)
    report.csv("compare.csv", header, rows)
    report.add(ArtifactKind.BLIND_PAGE, page)
    report.add(ArtifactKind.KEY, key)
    report.page("compare.html", "compare.html", **_page(result, figure))
    report.emit_made(verdict=result.verdict)


def shown_prompts(result: ComparisonResult) -> list[str]:
    """The prompts in figure and page."""
    return evenly(result.request.prompt, PROMPTS)


def shown_seeds(result: ComparisonResult) -> list[int]:
    """The seeds in figure and page."""
    request = result.request
    most = 2 if len(result.contestants) <= TWO_SEEDS else 1
    return list(range(request.seed, request.seed + min(request.count, most)))


def settings(result: ComparisonResult) -> str:
    """The sampling settings of all contestants, as text."""
    request = result.request
    forms = {"steps": "{} steps", "guidance": "guidance {:g}", "scheduler": "scheduler {}"}
    given = [form.format(value) for name, form in forms.items() if (value := getattr(request, name)) is not None]
    default = [name for name in ("steps", "guidance") if getattr(request, name) is None]
    return ", ".join([*given, *([f"each model's default {' and '.join(default)}"] if default else [])])


def _figure(result: ComparisonResult) -> ImageGrid:
    """Prompts down, contestants across."""
    prompts, seeds = shown_prompts(result), shown_seeds(result)
    groups = [ColumnGroup(name, tuple(f"seed {seed}" for seed in seeds)) for name in result.names]
    cells = [
        [open_image(result.images[name][prompt, seed]) for name in result.names for seed in seeds] for prompt in prompts
    ]
    every = len(result.request.prompt)
    part = [f"{len(prompts)} of {every} prompts"] if len(prompts) < every else []
    caption = "; ".join([*part, settings(result), "made by AI"])
    rows = [result.text(prompt) for prompt in prompts]
    return ImageGrid(rows, groups, cells, f"{caption[0].upper()}{caption[1:]}.", None)


def _numbers(result: ComparisonResult, out: Path) -> dict[str, Any]:
    """The contents of compare.json."""
    return {
        "verdict": result.verdict,
        "request": result.request.model_dump(mode="json"),
        "contestants": [
            {
                "name": contestant.name,
                "model": contestant.model,
                "adapters": [use.model_dump() for use in contestant.adapters],
                "scores": scores_as_json(result.scores[contestant.name]),
                "pictures": [
                    {
                        "prompt": prompt,
                        "seed": seed,
                        "path": (path := result.images[contestant.name][prompt, seed]).relative_to(out).as_posix(),
                        "sha256": sha256_of(path),
                    }
                    for prompt, seed in prompts_and_seeds(result.request)
                ],
            }
            for contestant in result.contestants
        ],
        "differences": [each.as_json() for each in result.differences],
    }


def _table(result: ComparisonResult, out: Path) -> tuple[list[str], list[list[Any]]]:
    """Header and rows of compare.csv: a row for each image, with the metrics of single images."""
    metrics = [name for name, score in result.scores[result.names[0]].items() if score.unit == "picture"]
    rows = [
        [
            contestant,
            prompt,
            seed,
            result.images[contestant][prompt, seed].relative_to(out).as_posix(),
            *(repr(result.scores[contestant][name].values[index]) for name in metrics),
        ]
        for contestant in result.names
        for index, (prompt, seed) in enumerate(prompts_and_seeds(result.request))
    ]
    return ["contestant", "prompt", "seed", "picture", *metrics], rows


def _page(result: ComparisonResult, figure: ImageGrid) -> dict[str, Any]:
    """What compare.html shows."""
    names = result.names
    first = result.scores[names[0]]
    by_title: dict[str, list[PairedDifference]] = {}
    for each in result.differences:
        by_title.setdefault(each.title, []).append(each)
    return {
        "title": " against ".join(names) if len(names) == 2 else f"{', '.join(names[:-1])} and {names[-1]}",
        "verdict": result.verdict,
        "settings": settings(result),
        "request": result.request,
        "contestants": result.contestants,
        "first": names[0],
        "fewest": pairs_needed(),
        "metrics": [(each.title, each.better) for each in first.values()],
        "scores": [(name, [_figures(each) for each in scores.values()]) for name, scores in result.scores.items()],
        "differences": result.differences,
        "plots": [_differences_plot(those) for those in by_title.values()],
        "prompts_plot": _prompts_plot(result),
        "figure": figure.page(),
        "slides": [
            {
                "prompt": result.text(prompt),
                "seed": seed,
                "pictures": [file_data_url(result.images[name][prompt, seed], 640) for name in names],
            }
            for prompt in shown_prompts(result)
            for seed in shown_seeds(result)
        ],
    }


def _figures(score: MetricResult) -> str:
    if not np.isfinite(score.low):
        return f"{score.mean:.3g}"
    mean, low, high = (text.removeprefix("+") for text in rounded(score.mean, score.low, score.high))
    return f"{mean} [{low}, {high}]"


def _differences_plot(those: Sequence[PairedDifference]) -> str:
    intervals = [
        MeanInterval(each.other, each.evidence.mean, each.evidence.low, each.evidence.high, each.winner is not None)
        for each in those
    ]
    return forest_svg(intervals, f"{those[0].title}, difference from {those[0].first}")


def _prompts_plot(result: ComparisonResult) -> str | None:
    """Differences by prompt between two contestants, by the first metric of single images; None with one prompt.

    Without intervals if there are few seeds, from which they would be misleading.
    """
    if len(result.contestants) > 2:
        return None
    (one, first), (other, second) = result.scores.items()
    count, prompts = result.request.count, result.request.prompt
    metric = next((name for name, score in first.items() if score.unit == "picture"), None)
    if metric is None or len(prompts) < 2:
        return None
    parts = [slice(index * count, (index + 1) * count) for index in range(len(prompts))]
    found = [difference(first[metric].values[part], second[metric].values[part]) for part in parts]
    if count < pairs_needed():
        found = [(mean, -np.inf, np.inf) for mean, _, _ in found]
    intervals = [
        MeanInterval(result.text(prompt), mean, low, high, low > 0 or high < 0)
        for prompt, (mean, low, high) in zip(prompts, found, strict=True)
    ]
    chosen = evenly(sorted(intervals, key=lambda each: -each.mean), 40)
    return forest_svg(chosen, f"{first[metric].title}, {other} minus {one}")
