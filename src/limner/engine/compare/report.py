"""A comparison told: numbers as JSON and CSV, a figure, and a page."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limner.core.choice import evenly
from limner.core.events import Emit
from limner.core.metrics import MetricResult
from limner.core.workspace import Workspace
from limner.engine.compare.cells import cells_of
from limner.engine.compare.differences import FEWEST, Difference, rounded
from limner.engine.compare.result import Compared
from limner.engine.generate.output import write_side_image
from limner.engine.scoring.scorers import told
from limner.imaging.decode import open_image
from limner.reports.figure import Group, grid
from limner.reports.forest import Line, forest
from limner.reports.render import embedded, write_page
from limner.stats.intervals import difference
from limner.store.files import atomic_file, sha256_of

ROWS, WIDE = 12, 3
"""The most prompts that are shown; up to how many contestants two seeds are."""


def shown_prompts(compared: Compared) -> list[str]:
    """The prompts of figure and page."""
    return evenly(compared.request.prompt, ROWS)


def shown_seeds(compared: Compared) -> list[int]:
    """The seeds of figure and page."""
    request = compared.request
    return list(range(request.seed, request.seed + min(request.count, 2 if len(compared.entrants) <= WIDE else 1)))


def write_figure(compared: Compared, out: Path, workspace: Workspace, emit: Emit) -> Path:
    """The figure: prompts down, contestants across. Returns its path, where nothing is if it was withheld."""
    prompts, seeds = shown_prompts(compared), shown_seeds(compared)
    groups = [Group(entrant.name, tuple(f"seed {seed}" for seed in seeds)) for entrant in compared.entrants]
    cells = [
        [open_image(compared.painted[entrant.name][prompt, seed]) for entrant in compared.entrants for seed in seeds]
        for prompt in prompts
    ]
    side = min(256, max(128, cells[0][0].width))
    path = out / "compare.png"
    write_side_image(
        grid(prompts, groups, cells, _caption(compared), side),
        path,
        "comparison",
        "compositeSynthetic",
        workspace,
        emit,
    )
    return path


def _caption(compared: Compared) -> str:
    request = compared.request
    shown, all_of = len(shown_prompts(compared)), len(request.prompt)
    parts = [f"{shown} of {all_of} prompts"] if shown < all_of else []
    told = "; ".join([*parts, settings(compared), "made by AI"])
    return told[0].upper() + told[1:] + "."


def settings(compared: Compared) -> str:
    """How all were painted, in words."""
    request = compared.request
    named = {"steps": "{} steps", "guidance": "guidance {:g}", "scheduler": "sampler {}"}
    given = [form.format(value) for name, form in named.items() if (value := getattr(request, name)) is not None]
    own = [name for name in ("steps", "guidance") if getattr(request, name) is None]
    given += [f"each model's own {' and '.join(own)}"] if own else []
    return ", ".join(given)


def write_numbers(compared: Compared, out: Path) -> Path:
    """compare.json: all that is known, picture by picture."""
    cells = cells_of(compared.request)
    numbers = {
        "verdict": compared.verdict,
        "request": compared.request.model_dump(mode="json"),
        "contestants": [
            {
                "name": entrant.name,
                "model": entrant.model,
                "adapters": [use.model_dump() for use in entrant.adapter],
                "scores": told(compared.scores[entrant.name]),
                "pictures": [
                    {
                        "prompt": prompt,
                        "seed": seed,
                        "path": _place(compared, entrant.name, (prompt, seed), out),
                        "sha256": sha256_of(compared.painted[entrant.name][prompt, seed]),
                    }
                    for prompt, seed in cells
                ],
            }
            for entrant in compared.entrants
        ],
        "differences": [each.told() for each in compared.differences],
    }
    path = out / "compare.json"
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def write_table(compared: Compared, out: Path) -> Path:
    """compare.csv: a line for each picture, with the scores that are of one picture."""
    path = out / "compare.csv"
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        names = [name for name, score in compared.scores[compared.entrants[0].name].items() if score.unit == "picture"]
        table.writerow(["contestant", "prompt", "seed", "picture", *names])
        for entrant in compared.entrants:
            scores = compared.scores[entrant.name]
            for index, cell in enumerate(cells_of(compared.request)):
                values = [repr(scores[name].values[index]) for name in names]
                table.writerow([entrant.name, *cell, _place(compared, entrant.name, cell, out), *values])
    return path


def _place(compared: Compared, name: str, cell: tuple[str, int], out: Path) -> str:
    return compared.painted[name][cell].relative_to(out).as_posix()


def write_report(compared: Compared, out: Path, figure: Path) -> Path:
    """compare.html: verdict, table, plots, figure, and any two pictures under a slider."""
    path, first = out / "compare.html", compared.entrants[0].name
    write_page(
        path,
        "compare.html",
        title=heading([entrant.name for entrant in compared.entrants]),
        verdict=compared.verdict,
        settings=settings(compared),
        request=compared.request,
        entrants=compared.entrants,
        first=first,
        fewest=FEWEST,
        metrics=[(each.title, each.better, each.unit, each.model) for each in compared.scores[first].values()],
        scores=[(name, [_shown(each) for each in scores.values()]) for name, scores in compared.scores.items()],
        differences=compared.differences,
        plots=[(metric, _differences_plot(those)) for metric, those in _by_title(compared).items()],
        prompts_plot=_prompts_plot(compared),
        figure=embedded(open_image(figure), 2200),
        slides=_slides(compared),
    )
    return path


def heading(names: Sequence[str]) -> str:
    """Who is compared, in words."""
    return " against ".join(names) if len(names) == 2 else f"{', '.join(names[:-1])} and {names[-1]}"


def _shown(score: MetricResult) -> str:
    if not np.isfinite(score.low):
        return f"{score.mean:.3g}"
    mean, low, high = (text.removeprefix("+") for text in rounded(score.mean, score.low, score.high))
    return f"{mean} [{low}, {high}]"


def _by_title(compared: Compared) -> dict[str, list[Difference]]:
    found: dict[str, list[Difference]] = {}
    for each in compared.differences:
        found.setdefault(each.title, []).append(each)
    return found


def _differences_plot(those: Sequence[Difference]) -> str:
    lines = [Line(each.other, each.mean, each.low, each.high, each.shown) for each in those]
    return forest(lines, f"{those[0].title}, difference from {those[0].first}")


def _prompts_plot(compared: Compared) -> str | None:
    """Differences by prompt of two contestants by the first score of pictures; None where there is nothing to see.

    Of few seeds, an interval would say more than is known.
    """
    if len(compared.entrants) > 2:
        return None
    (one, first), (other, second) = compared.scores.items()
    count, prompts = compared.request.count, compared.request.prompt
    named = next((name for name, score in first.items() if score.unit == "picture"), None)
    if named is None or len(prompts) < 2:
        return None
    parts = [slice(index * count, (index + 1) * count) for index in range(len(prompts))]
    told = [difference(first[named].values[part], second[named].values[part]) for part in parts]
    if count < FEWEST:
        told = [(mean, -np.inf, np.inf) for mean, _, _ in told]
    lines = [
        Line(prompt, *figures, figures[1] > 0 or figures[2] < 0) for prompt, figures in zip(prompts, told, strict=True)
    ]
    across = f"{first[named].title}, {other} minus {one}"
    return forest(evenly(sorted(lines, key=lambda line: -line.mean), 40), across)


def _slides(compared: Compared) -> list[dict[str, Any]]:
    """What the slider shows: a picture of each contestant for each prompt and seed of the figure."""
    return [
        {
            "prompt": prompt,
            "seed": seed,
            "pictures": [
                embedded(open_image(compared.painted[entrant.name][prompt, seed]), 640) for entrant in compared.entrants
            ],
        }
        for prompt in shown_prompts(compared)
        for seed in shown_seeds(compared)
    ]
