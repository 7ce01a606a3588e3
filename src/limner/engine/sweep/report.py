"""The report of a sweep: results.png, sweep.json, sweep.csv, curves.png, sweep.html and the trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from limner.core.choice import evenly
from limner.core.events import ArtifactKind, Emit, Stage
from limner.core.requests import Axis
from limner.core.text import shorten
from limner.core.workspace import Workspace
from limner.engine.scoring.scorers import figures, scores_as_json
from limner.engine.sweep.best_guidance import best_guidance
from limner.engine.sweep.result import SweepResult
from limner.engine.sweep.trajectory import write_trajectory
from limner.engine.sweep.verdict import verdict
from limner.imaging.decode import open_image
from limner.reports.figure import ColumnGroup, ImageGrid
from limner.reports.plots import Curve, curves_svg, write_curves_png
from limner.reports.writer import ReportWriter, file_data_url
from limner.store.files import atomic_file, sha256_of

ROWS, COLUMNS, SEEDS = 12, 16, 3
"""The most rows, columns and seeds in the figure."""
CELLS = 400
"""The most cells on the page."""
TITLES = {"guidance": "guidance scale", "steps": "denoising steps", "scheduler": "scheduler"}


def write_report(result: SweepResult, out: Path, workspace: Workspace, emit: Emit) -> None:
    """Write all files of the report."""
    emit(Stage(name="writing"))
    report = ReportWriter(out, workspace, emit)
    frames = write_trajectory(result.cells[0].request, report) if result.request.trajectory else None
    figure = _figure(result)
    shown = report.figure("results.png", figure.draw()).exists()
    report.json("sweep.json", _numbers(result, out))
    header, rows = _table(result, out)
    report.csv("sweep.csv", header, rows)
    if drawn := curves(result):
        with atomic_file(out / "curves.png") as partial:
            write_curves_png(drawn, partial)
        report.add(ArtifactKind.PLOT, out / "curves.png")
    report.page("sweep.html", "sweep.html", **_page(result, figure if shown else None, frames))
    report.emit_made(verdict=verdict(result))


def settings(result: SweepResult) -> str:
    """The settings of all cells, as text."""
    request, varied = result.request, {axis.field for axis in result.request.axes}
    parts = [] if "prompt" in varied else [f'"{_name(result.cells[0].request.prompt, 70)}"']
    parts += [] if "model" in varied else [f"model {_name(request.model)}"]
    forms = {"steps": "{} steps", "guidance": "guidance {:g}", "scheduler": "scheduler {}"}
    given = {name: value for name in forms if (value := getattr(request, name)) is not None and name not in varied}
    parts += [forms[name].format(value) for name, value in given.items()]
    parts += [] if "seed" in varied else [f"seed {request.seed}" + (" and following" if request.seeds > 1 else "")]
    return ", ".join(parts)


def curves(result: SweepResult) -> list[Curve]:
    """Each metric along each axis of numbers."""
    found = []
    for axis in result.request.axes:
        try:
            x = [float(value) for value in axis.values]
        except ValueError:
            continue
        if len(x) < 2 or axis.field == "seed":
            continue
        best = best_guidance(result) if axis.field == "guidance" else None
        marked = None if best is None else float(best.value)
        for name, score in result.metrics.items():
            found.append(Curve(_title(axis), score.title, x, result.curve(axis, name), marked))
    return found


def _title(axis: Axis) -> str:
    return TITLES.get(axis.field, axis.field.replace("_", " "))


def _name(text: str, length: int = 22) -> str:
    """A value as a label: of a path, its last part."""
    return shorten(Path(text).name if "/" in text else text, length)


def _figure(result: SweepResult) -> ImageGrid:
    """The last axis across and the first down, with one between them as column groups; of one axis, seeds down."""
    axes = result.request.axes
    picked = [evenly(axis.values, COLUMNS if axis is axes[-1] else ROWS) for axis in axes]
    columns = tuple(_name(value) for value in picked[-1])
    if len(axes) == 3:
        groups = [ColumnGroup(f"{axes[1].field} {_name(value)}; {axes[-1].field}", columns) for value in picked[1]]
    else:
        groups = [ColumnGroup(_title(axes[-1]), columns)]
    if len(axes) == 1:
        seeds = range(min(SEEDS, result.request.seeds))
        first = result.cells[0].request.seed
        rows = ["" if axes[0].field == "seed" else f"seed {first + number}" for number in seeds]
        cells = [[_image(result, (value,), number) for value in picked[0]] for number in seeds]
    else:
        rows = [value if axes[0].field == "prompt" else f"{axes[0].field} {value}" for value in picked[0]]
        middle = picked[1] if len(axes) == 3 else [None]
        cells = [
            [_image(result, tuple(filter(None, (row, group, value))), 0) for group in middle for value in picked[-1]]
            for row in picked[0]
        ]
    return ImageGrid(rows, groups, cells, f"{_shown(result, picked)}{settings(result)}. Made by AI.", None)


def _shown(result: SweepResult, picked: Sequence[Sequence[str]]) -> str:
    """What part of the images the figure shows, such as "Shown: 3 of 8 seeds; "; "" if it shows all."""
    axes, seeds = result.request.axes, result.request.seeds
    shown = min(SEEDS, seeds) if len(axes) == 1 else 1
    parts = [f"{shown} of {seeds} seeds"] if shown < seeds else []
    for axis, values in zip(axes, picked, strict=True):
        if len(values) < len(axis.values):
            parts.append(f"{len(values)} of {len(axis.values)} values of {_title(axis)}")
    return f"Shown: {', '.join(parts)}; " if parts else ""


def _image(result: SweepResult, values: tuple[str, ...], number: int) -> Image.Image | None:
    """The image of the cell with these values and of the seed with this number; None if it was withheld."""
    cell = next(place for place, cell in enumerate(result.cells) if cell.values == values)
    path = result.images[cell].get(result.cells[cell].request.seed + number)
    return open_image(path) if path is not None else None


def _numbers(result: SweepResult, out: Path) -> dict[str, Any]:
    """The contents of sweep.json."""
    best, axes = best_guidance(result), result.request.axes
    return {
        "verdict": verdict(result),
        "sweet_spot": None if best is None else best.value,
        "request": result.request.model_dump(mode="json"),
        "axes": [axis.model_dump() for axis in axes],
        "cells": [
            {
                "values": dict(zip((axis.field for axis in axes), cell.values, strict=True)),
                "pictures": [
                    {"seed": seed, "path": path.relative_to(out).as_posix(), "sha256": sha256_of(path)}
                    for seed, path in sorted(images.items())
                ],
                "scores": scores_as_json(scores),
            }
            for cell, images, scores in zip(result.cells, result.images, result.scores, strict=True)
        ],
        "along": {
            axis.field: {name: list(map(_interval, result.curve(axis, name))) for name in result.metrics}
            for axis in axes
        },
    }


def _interval(values: Sequence[float]) -> dict[str, float | None]:
    finite = [value if np.isfinite(value) else None for value in values]
    return dict(zip(("mean", "low", "high"), finite, strict=True))


def _table(result: SweepResult, out: Path) -> tuple[list[str], list[list[Any]]]:
    """Header and rows of sweep.csv: a row for each image, with the metrics of single images."""
    metrics = [name for name, score in result.metrics.items() if score.unit == "picture"]
    rows: list[list[Any]] = []
    for cell, images, scores in zip(result.cells, result.images, result.scores, strict=True):
        for place, (seed, path) in enumerate(sorted(images.items())):
            values = [repr(scores[name].values[place]) if scores else "" for name in metrics]
            rows.append([*cell.values, seed, path.relative_to(out).as_posix(), *values])
    return [*(axis.field for axis in result.request.axes), "picture_seed", "picture", *metrics], rows


def _page(result: SweepResult, figure: ImageGrid | None, frames: ImageGrid | None) -> dict[str, Any]:
    """What sweep.html shows. figure, frames: None if there are none, or moderation withheld them."""
    drawn, cells = curves(result), evenly(range(len(result.cells)), CELLS)
    side = 640 if len(cells) <= 60 else 320
    return {
        "title": " and ".join(_title(axis) for axis in result.request.axes).capitalize(),
        "verdict": verdict(result),
        "settings": settings(result),
        "count": len(result.cells),
        "seeds": result.request.seeds,
        "curves": curves_svg(drawn) if drawn else None,
        "marked": any(curve.marked is not None for curve in drawn),
        "metrics": [(score.title, score.better, score.model) for score in result.metrics.values()],
        "rows": _rows(result),
        "cells": [_cell(result, number, side) for number in cells],
        "figure": figure and figure.page(),
        "trajectory": frames and frames.page(),
    }


def _rows(result: SweepResult) -> list[tuple[str, str, list[str]]]:
    """Axis, value, and the mean of each metric with its interval."""
    found = []
    for axis in result.request.axes:
        columns = [result.curve(axis, name) for name in result.metrics]
        for place, value in enumerate(axis.values):
            row = [figures(*column[place]) if np.isfinite(column[place][0]) else "withheld" for column in columns]
            found.append((axis.field, value, row))
    return found


def _cell(result: SweepResult, number: int, side: int) -> dict[str, Any]:
    image = result.first_image(number)
    named = zip((axis.field for axis in result.request.axes), result.cells[number].values, strict=True)
    scores = [f"{score.title} {score.mean:.3g}" for score in result.scores[number].values()]
    return {
        "name": ", ".join(f"{field} {value}" if field != "prompt" else value for field, value in named),
        "picture": file_data_url(image, side) if image is not None else None,
        "scores": ", ".join(scores) or "withheld",
    }
