"""The report of an improvement: the decision, the measures, whose feedback counted, and images before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from limner.core.choice import evenly
from limner.core.improve import ImprovementRecord, Measured
from limner.engine.improve.evaluation import ComparedImages, Evaluation
from limner.imaging.decode import open_image
from limner.reports.figure import ColumnGroup, ImageGrid
from limner.reports.interval_plots import MeanInterval, Panel, panels_svg

PROMPTS, SEEDS = 12, 2
"""The most prompts, and the most images of each, on the page."""
VERDICTS = {
    "better": "better",
    "kept": "kept",
    "uncertain": "kept on average; more images are needed to be certain",
    "worse": "worse",
}
LESSONS = {
    "preference": "preference training on pairs (Diffusion-DPO)",
    "kto": "preference training on single ratings (Diffusion-KTO)",
    "liked": "training on the best rated images",
}


def page_of(record: ImprovementRecord, evaluation: Evaluation) -> dict[str, Any]:
    """What improve.html shows."""
    figure = _figure(evaluation.images)
    return {
        "title": f"{record.target}, improved by feedback",
        "record": record,
        "lesson": LESSONS[record.lesson],
        "measures": [(each, VERDICTS[each.verdict]) for each in record.measured],
        "doubts": list(dict.fromkeys(each.doubt for each in record.measured if each.doubt)),
        "plot": panels_svg([_panel(each) for each in record.measured], "Differences") if record.measured else None,
        "reasons": sorted(record.reasons.items(), key=lambda item: (-item[1], item[0])),
        "doubtful": [each for each in record.raters if each.why],
        "figure": None if figure is None else figure.page(),
    }


def _panel(each: Measured) -> Panel:
    low = -np.inf if each.low is None else each.low
    high = np.inf if each.high is None else each.high
    bad = each.verdict == "worse"
    title = f"{each.title} ({each.better} is better)"
    return Panel(title, [MeanInterval("difference", each.difference, low, high, bad)])


def _figure(images: ComparedImages) -> ImageGrid | None:
    """Prompts down, before and after across; None without images."""
    pairs: dict[str, list[tuple[Path, Path]]] = {}
    for old, new in zip(images.old, images.new, strict=True):
        pairs.setdefault(old.group, []).append((old.path, new.path))
    if not pairs:
        return None
    shown = evenly(list(pairs), PROMPTS)
    seeds = min(SEEDS, max(len(pairs[prompt]) for prompt in shown))
    columns = tuple(f"image {number}" for number in range(1, seeds + 1))
    groups = [ColumnGroup("before", columns), ColumnGroup("after", columns)]
    cells = [[_image(pairs, prompt, seed, side) for side in (0, 1) for seed in range(seeds)] for prompt in shown]
    part = f"{len(shown)} of {len(pairs)} prompts, made" if len(shown) < len(pairs) else "Made"
    return ImageGrid(shown, groups, cells, f"{part} by AI from the same seeds.", None)


def _image(pairs: Mapping[str, list[tuple[Path, Path]]], prompt: str, seed: int, side: int) -> Any:
    its = pairs[prompt]
    return open_image(its[seed][side]) if seed < len(its) else None
