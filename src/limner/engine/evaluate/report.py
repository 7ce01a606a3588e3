"""An evaluation told: numbers as JSON and CSV, a figure, and a page."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from limner.core.choice import evenly
from limner.core.events import Emit
from limner.core.metrics import MetricResult
from limner.core.workspace import Workspace
from limner.data.duplicates.copies import nearest_copies
from limner.engine.evaluate.group_report import served_page
from limner.engine.evaluate.result import Evaluated
from limner.engine.evaluate.training_images import learnt_page
from limner.engine.evaluate.training_images import told as learnt_told
from limner.engine.generate.output import write_side_image
from limner.engine.scoring.scorers import told
from limner.imaging.decode import open_image
from limner.reports.figure import Group, grid
from limner.reports.render import embedded, write_page
from limner.store.files import atomic_file, sha256_of

ROWS, COLUMNS, CASES, COPIES, PHOTOGRAPHS = 12, 4, 6, 8, 12
"""The most prompts and pictures of each in the figure; cases at each end, near-copies and photographs on the page."""


def write_figure(done: Evaluated, out: Path, workspace: Workspace, emit: Emit) -> Path:
    """results.png: prompts down, pictures across."""
    path, cells = out / "results.png", done.cells()
    groups = evenly(list(cells), ROWS)
    wide = min(COLUMNS, max(len(cells[group]) for group in groups))
    first = open_image(cells[groups[0]][0])
    lines = [[open_image(picture) for picture in cells[group][:wide]] for group in groups]
    for line in lines:
        line += [_blank(first.size)] * (wide - len(line))
    across = Group(done.name, tuple(str(number) for number in range(1, wide + 1)))
    shown = f"{len(groups)} of {len(cells)} prompts, {len(done.gallery.items)} pictures in all. Made by AI."
    figure = grid(groups, [across], lines, shown, min(256, max(128, first.width)))
    write_side_image(figure, path, "comparison", "compositeSynthetic", workspace, emit)
    return path


def _blank(size: tuple[int, int]) -> Any:
    from PIL import Image

    return Image.new("RGB", size, (236, 236, 236))


def write_numbers(done: Evaluated, out: Path) -> Path:
    """report.json: all that is known, picture by picture."""
    numbers = {
        "verdict": done.verdict,
        "passed": done.passed,
        "requirements": [
            {"requirement": str(wanted), "mean": mean, "met": met} for wanted, mean, met in done.requirements
        ],
        "request": done.request.model_dump(mode="json"),
        "subject": done.subject,
        "scores": told(done.scores),
        "fairness": done.served and done.served.told(),
        "influence": done.learnt and learnt_told(done.learnt),
        "pictures": [
            {
                "path": _place(item.picture, out),
                "sha256": sha256_of(item.picture),
                "prompt": item.group,
                "told_to_encoders": item.prompt,
                "group": done.served and done.served.group_of.get(index),
            }
            for index, item in enumerate(done.gallery.items)
        ],
        "photographs": [picture.name for picture in done.gallery.references],
    }
    path = out / "report.json"
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def write_table(done: Evaluated, out: Path) -> Path:
    """report.csv: a line for each picture, with the scores that are of one picture."""
    path, names = out / "report.csv", list(done.by_picture)
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["prompt", "picture", *names])
        for index, item in enumerate(done.gallery.items):
            values = [repr(done.scores[name].values[index]) for name in names]
            table.writerow([item.group, _place(item.picture, out), *values])
    return path


def _place(picture: Path, out: Path) -> str:
    return picture.relative_to(out).as_posix() if picture.is_relative_to(out) else picture.name


def write_report(done: Evaluated, out: Path, figure: Path) -> Path:
    """report.html: verdict, checklist, figure, best and worst cases, near-copies, and the class before and after."""
    path, ranked = out / "report.html", done.ranked
    cases = min(CASES, len(done.gallery.items) // 2)  # none stands at both ends
    write_page(
        path,
        "evaluate.html",
        title=f"How good is {done.name}?",
        verdict=done.verdict,
        count=len(done.gallery.items),
        prompts=len(done.cells()),
        subject=done.subject,
        requirements=[(str(wanted), f"{mean:.3f}", met) for wanted, mean, met in done.requirements],
        checklist=[(title, [_row(score) for score in scores]) for title, scores in done.checklist.items()],
        figure=embedded(open_image(figure), 2400) if figure.exists() else None,
        photographs=[embedded(open_image(each), 240) for each in evenly(done.gallery.references, PHOTOGRAPHS)],
        ranked_by=None if ranked is None else done.scores[ranked[0]].title,
        best=[] if ranked is None else [_case(done, ranked[0], index) for index in ranked[1][:cases]],
        worst=[] if ranked is None else [_case(done, ranked[0], index) for index in ranked[1][::-1][:cases]],
        served=done.served and served_page(done.served),
        copies=_copies(done),
        learnt=done.learnt and learnt_page(done.learnt),
        pairs=_pairs(done),
    )
    return path


def _row(score: MetricResult) -> tuple[str, str, str, str]:
    mean = f"{score.mean:.3g}"
    interval = f"[{score.low:.3g}, {score.high:.3g}]" if np.isfinite(score.low) else ""
    return score.title, f"{mean} {interval}".strip(), score.better or "depends", score.model or ""


def _case(done: Evaluated, name: str, index: int) -> dict[str, str]:
    item = done.gallery.items[index]
    picture = embedded(open_image(item.picture), 320)
    return {"picture": picture, "prompt": item.group, "value": f"{done.scores[name].values[index]:.3g}"}


def _copies(done: Evaluated) -> list[dict[str, str]] | None:
    """The pictures that are nearest to being copies of what was learnt from; None where that is not known."""
    if not done.gallery.training:
        return None
    matches = nearest_copies(done.gallery.pictures, done.gallery.training)
    order = sorted(range(len(matches)), key=lambda index: -matches[index].similarity)
    return [
        {
            "picture": embedded(open_image(done.gallery.items[index].picture), 240),
            "learnt": embedded(open_image(matches[index].image), 240),
            "told": f"likeness {matches[index].similarity:.2f}" + (", mirrored" if matches[index].mirrored else ""),
        }
        for index in order
        if matches[index].is_copy
    ][:COPIES]


def _pairs(done: Evaluated) -> list[dict[str, str]]:
    """The class alone before and after, a pair for each prompt."""
    if done.plain is None:
        return []
    rows = [places[0] for places in done.plain.groups.values()]
    return [
        {
            "prompt": str(done.plain.items[row].prompt),
            "before": embedded(open_image(done.plain.base[row].picture), 240),
            "after": embedded(open_image(done.plain.items[row].picture), 240),
        }
        for row in rows
    ]
