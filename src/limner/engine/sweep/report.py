"""A sweep told: numbers as JSON and CSV, figures, and a page."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from limner.core.choice import evenly
from limner.core.events import Emit
from limner.core.requests import Axis
from limner.core.text import shorten
from limner.core.workspace import Workspace
from limner.engine.generate.output import write_side_image
from limner.engine.scoring.scorers import told
from limner.engine.sweep.best_guidance import sweet_spot
from limner.engine.sweep.result import Swept
from limner.engine.sweep.verdict import verdict
from limner.imaging.decode import open_image
from limner.reports.curves import Curve, curves_picture, curves_svg
from limner.reports.figure import Group, grid
from limner.reports.render import embedded, write_page
from limner.store.files import atomic_file, sha256_of

ROWS, COLUMNS, SEEDS = 12, 16, 3
"""The most rows, columns and seeds of the figure."""
CELLS = 400
"""The most cells that the page holds."""


def write_figure(swept: Swept, out: Path, workspace: Workspace, emit: Emit) -> Path:
    """results.png: the last axis across, the first down, one between them as groups; of one axis, seeds down."""
    path = out / "results.png"
    axes, picked = swept.request.axes, [_picked(swept, axis) for axis in swept.request.axes]
    across, shown = axes[-1], picked[-1]
    if len(axes) == 3:
        groups = [
            Group(f"{axes[1].field} {_short(value)}; {across.field}", tuple(_short(v) for v in shown))
            for value in picked[1]
        ]
    else:
        groups = [Group(_title(across), tuple(_short(value) for value in shown))]
    if len(axes) == 1:
        seeds = [swept.cells[0].request.seed + number for number in range(min(SEEDS, swept.request.seeds))]
        rows = ["" if across.field == "seed" else f"seed {seed}" for seed in seeds]
        lines = [[_at(swept, (value,), place) for value in shown] for place in range(len(seeds))]
    else:
        rows = [value if axes[0].field == "prompt" else f"{axes[0].field} {value}" for value in picked[0]]
        middle = picked[1] if len(axes) == 3 else [None]
        lines = [
            [_at(swept, tuple(filter(None, (row, group, value))), 0) for group in middle for value in shown]
            for row in picked[0]
        ]
    first = next((cell for line in lines for cell in line if cell is not None), Image.new("RGB", (64, 64)))
    side = min(256, max(128, first.width))
    blank = Image.new("RGB", first.size, (236, 236, 236))
    figure = grid(rows, groups, [[cell or blank for cell in line] for line in lines], _caption(swept), side)
    write_side_image(figure, path, "comparison", "compositeSynthetic", workspace, emit)
    return path


def _picked(swept: Swept, axis: Axis) -> list[str]:
    return evenly(axis.values, COLUMNS if axis is swept.request.axes[-1] else ROWS)


def _at(swept: Swept, values: tuple[str, ...], place: int) -> Image.Image | None:
    """A picture of the cell of these values, by its place among the seeds; None where it was withheld."""
    number = next(number for number, cell in enumerate(swept.cells) if cell.values == values)
    path = swept.painted[number].get(swept.cells[number].request.seed + place)
    return open_image(path) if path is not None else None


def _title(axis: Axis) -> str:
    named = {"guidance": "guidance scale", "steps": "denoising steps", "scheduler": "sampler"}
    return named.get(axis.field, axis.field.replace("_", " "))


def _short(text: str, most: int = 22) -> str:
    return shorten(Path(text).name if "/" in text else text, most)


def _caption(swept: Swept) -> str:
    return f"{settings(swept)}. Made by AI."


def settings(swept: Swept) -> str:
    """How all cells were painted, in words."""
    request, varied = swept.request, {axis.field for axis in swept.request.axes}
    parts = [] if "prompt" in varied else [f'"{_short(swept.cells[0].request.prompt, 70)}"']
    parts += [] if "model" in varied else [f"model {_short(request.model)}"]
    named = {"steps": "{} steps", "guidance": "guidance {:g}", "scheduler": "sampler {}"}
    given = {name: value for name in named if (value := getattr(request, name)) is not None and name not in varied}
    parts += [named[name].format(value) for name, value in given.items()]
    parts += [] if "seed" in varied else [f"seed {request.seed}" + (" and on" if request.seeds > 1 else "")]
    return ", ".join(parts)


def write_numbers(swept: Swept, out: Path) -> Path:
    """sweep.json: all that is known, cell by cell."""
    spot = sweet_spot(swept)
    numbers = {
        "verdict": verdict(swept),
        "sweet_spot": None if spot is None else spot.value,
        "request": swept.request.model_dump(mode="json"),
        "axes": [axis.model_dump() for axis in swept.request.axes],
        "cells": [
            {
                "values": dict(zip((axis.field for axis in swept.request.axes), cell.values, strict=True)),
                "pictures": [
                    {"seed": seed, "path": path.relative_to(out).as_posix(), "sha256": sha256_of(path)}
                    for seed, path in sorted(pictures.items())
                ],
                "scores": told(scores),
            }
            for cell, pictures, scores in zip(swept.cells, swept.painted, swept.scores, strict=True)
        ],
        "along": {
            axis.field: {name: list(map(_interval, swept.curve(axis, name))) for name in swept.metrics}
            for axis in swept.request.axes
        },
    }
    path = out / "sweep.json"
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _interval(told: Sequence[float]) -> dict[str, float | None]:
    plain = [value if np.isfinite(value) else None for value in told]
    return dict(zip(("mean", "low", "high"), plain, strict=True))


def write_table(swept: Swept, out: Path) -> Path:
    """sweep.csv: a line for each picture, with the scores that are of one picture."""
    path = out / "sweep.csv"
    names = [name for name, score in swept.metrics.items() if score.unit == "picture"]
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow([*(axis.field for axis in swept.request.axes), "picture_seed", "picture", *names])
        for cell, pictures, scores in zip(swept.cells, swept.painted, swept.scores, strict=True):
            for place, (seed, picture) in enumerate(sorted(pictures.items())):
                values = [repr(scores[name].values[place]) if scores else "" for name in names]
                table.writerow([*cell.values, seed, picture.relative_to(out).as_posix(), *values])
    return path


def curves(swept: Swept) -> list[Curve]:
    """For each axis of numbers, and each metric, how the metric changes along it."""
    found = []
    for axis in swept.request.axes:
        try:
            across = [float(value) for value in axis.values]
        except ValueError:
            continue
        if len(across) < 2 or axis.field == "seed":
            continue
        spot = sweet_spot(swept) if axis.field == "guidance" else None
        marked = None if spot is None else float(spot.value)
        for name, score in swept.metrics.items():
            found.append(Curve(_title(axis), score.title, across, swept.curve(axis, name), marked))
    return found


def write_curves(swept: Swept, out: Path) -> Path | None:
    """curves.png: the metrics along the axes of numbers, with their intervals."""
    if not (drawn := curves(swept)):
        return None
    path = out / "curves.png"
    with atomic_file(path) as partial:
        curves_picture(drawn, partial)
    return path


def write_report(swept: Swept, out: Path, figure: Path, frames: Path | None) -> Path:
    """sweep.html: verdict, curves, table, and every cell, large where it is opened, two of them under a slider."""
    path, drawn = out / "sweep.html", curves(swept)
    cells = evenly(range(len(swept.cells)), CELLS)
    side = 640 if len(cells) <= 60 else 320
    write_page(
        path,
        "sweep.html",
        title=" and ".join(_title(axis) for axis in swept.request.axes).capitalize(),
        verdict=verdict(swept),
        settings=settings(swept),
        axes=swept.request.axes,
        count=len(swept.cells),
        seeds=swept.request.seeds,
        curves=curves_svg(drawn) if drawn else None,
        metrics=[(score.title, score.better, score.model) for score in swept.metrics.values()],
        rows=_rows(swept),
        cells=[_shown(swept, number, side) for number in cells],
        columns=len(swept.request.axes[-1].values),
        figure=embedded(open_image(figure), 2400) if figure.exists() else None,
        trajectory=embedded(open_image(frames), 2400) if frames is not None else None,
    )
    return path


def _rows(swept: Swept) -> list[tuple[str, str, list[str]]]:
    """Axis, value, and each metric's mean with its interval."""
    found = []
    for axis in swept.request.axes:
        told = {name: swept.curve(axis, name) for name in swept.metrics}
        for place, value in enumerate(axis.values):
            found.append((axis.field, value, [_figures(curve[place]) for curve in told.values()]))
    return found


def _figures(told: Sequence[float]) -> str:
    mean, low, high = told
    if not np.isfinite(mean):
        return "withheld"
    return f"{mean:.3g} [{low:.3g}, {high:.3g}]" if np.isfinite(low) else f"{mean:.3g}"


def _shown(swept: Swept, number: int, side: int) -> dict[str, Any]:
    picture = swept.picture(number)
    named = zip((axis.field for axis in swept.request.axes), swept.cells[number].values, strict=True)
    scores = swept.scores[number]
    return {
        "name": ", ".join(f"{field} {value}" if field != "prompt" else value for field, value in named),
        "picture": embedded(open_image(picture), side) if picture is not None else None,
        "told": ", ".join(f"{score.title} {score.mean:.3g}" for score in scores.values()) or "withheld",
    }
