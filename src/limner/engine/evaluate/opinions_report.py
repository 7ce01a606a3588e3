"""Writes what people think of an evaluation's images: opinions.json and opinions.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from limner.core.choice import evenly
from limner.core.errors import LimnerError
from limner.core.opinions import HIGHEST, LOWEST
from limner.engine.evaluate.opinions import (
    EvaluationReport,
    Figures,
    MetricAgreement,
    OpinionSummary,
    as_text,
    read_opinions,
    read_report,
    summarise,
)
from limner.store.files import sha256_of

RESULT, PAGE = "opinions.json", "opinions.html"
CASES, SIDE, RATERS = 6, 320, 50
"""The most images at each end and their longest side in pixels; the most people on the page."""


def report_opinions(paths: Sequence[Path], folder: Path) -> tuple[OpinionSummary, Path]:
    """Summarise the files that people sent back, and write the result into the folder of the evaluation.

    Returns the summary and the path of the page.
    """
    from limner.reports.writer import write_json

    report = read_report(folder)
    summary = summarise(report, read_opinions(paths, report))
    write_json(folder / RESULT, summary.model_dump(mode="json"))
    return summary, _write_page(summary, report, folder)


def _write_page(summary: OpinionSummary, report: EvaluationReport, folder: Path) -> Path:
    from limner.engine.evaluate.scoresheet import questions
    from limner.reports.writer import write_page

    overall = {sha256: float(np.mean(list(each.values()))) for sha256, each in summary.means.items()}
    order = sorted(overall, key=lambda sha256: -overall[sha256])
    criteria, texts = list(summary.criteria), questions(bool(report.photographs))
    return write_page(
        folder / PAGE,
        "opinions.html",
        title="What do people think?",
        verdict=summary.verdict,
        criteria=[
            (name, texts[name][0], _shown(each.mean), _bars(each.counts), each.pictures, _shown(each.agreement))
            for name, each in summary.criteria.items()
        ],
        points=list(range(LOWEST, HIGHEST + 1)),
        names=criteria,
        metrics=_rows(summary.metrics, criteria),
        raters=[
            (each.name, each.pictures, [f"{each.means[name]:.2f}" if name in each.means else "" for name in criteria])
            for each in evenly(summary.raters, RATERS)
        ],
        people=len(summary.raters),
        best=_cases(order[:CASES], overall, report, folder),
        worst=_cases(order[CASES:][::-1][:CASES], overall, report, folder),
    )


def _rows(found: Sequence[MetricAgreement], criteria: Sequence[str]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """A row for each metric: its correlation with each question, and whether the interval excludes zero."""
    by = {(each.metric, each.criterion): each.correlation for each in found}
    names = dict.fromkeys(each.metric for each in found)
    return [
        (name, [(_shown(each), _excludes_zero(each)) for each in (by.get((name, c)) for c in criteria)])
        for name in names
    ]


def _excludes_zero(figures: Figures | None) -> bool:
    return figures is not None and None not in figures and (figures[1] or 0) * (figures[2] or 0) > 0


def _shown(figures: Figures | None) -> str:
    return "unknown" if figures is None else as_text(figures)


def _bars(counts: Sequence[int]) -> list[tuple[int, int]]:
    """How often each score was given, and that in percent of the most frequent score."""
    return [(count, round(100 * count / max(1, *counts))) for count in counts]


def _cases(
    hashes: Sequence[str], overall: dict[str, float], report: EvaluationReport, folder: Path
) -> list[dict[str, str]]:
    """Images with their prompts and means, without those that are no longer in the folder or have changed."""
    by = {image.sha256: image for image in report.pictures}
    found: list[dict[str, str]] = []
    for sha256 in hashes:
        url = _data_url(folder / by[sha256].path, sha256, folder)
        if url is not None:
            found.append({"picture": url, "prompt": by[sha256].prompt, "value": f"{overall[sha256]:.2f}"})
    return found


def _data_url(path: Path, sha256: str, folder: Path) -> str | None:
    """An image as a `data:` URL, None if it is not an unchanged file in the folder."""
    from limner.reports.writer import file_data_url

    try:
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file() or sha256_of(path) != sha256:
            return None
        return file_data_url(path, SIDE)
    except (OSError, LimnerError, ValueError):
        return None
