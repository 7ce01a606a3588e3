"""What people think of an evaluation's pictures, written down: opinions.json and opinions.html."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from limner.core.choice import evenly
from limner.core.errors import LimnerError
from limner.core.opinions import HIGHEST, LOWEST
from limner.engine.evaluate.opinions import Figures, Findings, Likeness, Report, findings, read_opinions, read_report
from limner.store.files import atomic_file, sha256_of

RESULT, PAGE = "opinions.json", "opinions.html"
CASES, SIDE, RATERS = 6, 320, 50
"""Pictures at each end and their longest side in pixels; the most people that the page names."""


def tell_opinions(paths: Sequence[Path], folder: Path) -> tuple[Findings, Path]:
    """Read what people sent back of the evaluation in a folder, and keep what comes of it there; the page's path."""
    report = read_report(folder)
    found = findings(report, read_opinions(paths, report))
    with atomic_file(folder / RESULT) as partial:
        told = json.dumps(found.model_dump(mode="json"), indent=1, ensure_ascii=False)
        partial.write_text(told + "\n", encoding="utf-8")
    return found, _write_page(found, report, folder)


def _write_page(found: Findings, report: Report, folder: Path) -> Path:
    from limner.engine.evaluate.scoresheet import asked
    from limner.reports.render import write_page

    overall = {sha256: float(np.mean(list(each.values()))) for sha256, each in found.means.items()}
    order = sorted(overall, key=lambda sha256: -overall[sha256])
    criteria, questions = list(found.criteria), asked(bool(report.photographs))
    write_page(
        folder / PAGE,
        "opinions.html",
        title="What do people think?",
        verdict=found.verdict,
        criteria=[
            (name, questions[name][0], _shown(each.mean), _bars(each.counts), each.pictures, _shown(each.agreement))
            for name, each in found.criteria.items()
        ],
        points=list(range(LOWEST, HIGHEST + 1)),
        names=criteria,
        metrics=_rows(found.metrics, criteria),
        raters=[
            (each.name, each.pictures, [f"{each.means[name]:.2f}" if name in each.means else "" for name in criteria])
            for each in evenly(found.raters, RATERS)
        ],
        people=len(found.raters),
        best=_cases(order[:CASES], overall, report, folder),
        worst=_cases(order[CASES:][::-1][:CASES], overall, report, folder),
    )
    return folder / PAGE


def _rows(found: Sequence[Likeness], criteria: Sequence[str]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """A line for each metric: its correlation with every criterion, and whether that is shown to be other than none."""
    by = {(each.metric, each.criterion): each.correlation for each in found}
    names = dict.fromkeys(each.metric for each in found)
    return [
        (name, [(_shown(told), _stands_out(told)) for told in (by.get((name, c)) for c in criteria)]) for name in names
    ]


def _stands_out(figures: Figures | None) -> bool:
    return figures is not None and None not in figures and (figures[1] or 0) * (figures[2] or 0) > 0


def _shown(figures: Figures | None) -> str:
    if figures is None:
        return "not known"
    value, low, high = figures
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _bars(counts: Sequence[int]) -> list[tuple[int, int]]:
    """How often each score was given, and that as a share of the most frequent in percent."""
    return [(count, round(100 * count / max(1, *counts))) for count in counts]


def _cases(hashes: Sequence[str], overall: dict[str, float], report: Report, folder: Path) -> list[dict[str, str]]:
    """Pictures with their prompts and means; those that do not lie in the folder as they were are left out."""
    by = {picture.sha256: picture for picture in report.pictures}
    found: list[dict[str, str]] = []
    for sha256 in hashes:
        url = _embedded(folder / by[sha256].path, sha256, folder)
        if url is not None:
            found.append({"picture": url, "prompt": by[sha256].prompt, "value": f"{overall[sha256]:.2f}"})
    return found


def _embedded(path: Path, sha256: str, folder: Path) -> str | None:
    from limner.imaging.decode import open_image
    from limner.reports.render import embedded

    try:
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file() or sha256_of(path) != sha256:
            return None
        return embedded(open_image(path), SIDE)
    except (OSError, LimnerError, ValueError):
        return None
