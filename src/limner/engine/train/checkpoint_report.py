"""The report of checkpoint scores: a page with the trade-off over steps, and the numbers as JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean

from limner.core.checkpoint_scores import CheckpointScores, StepScores
from limner.core.choice import evenly
from limner.engine.train.checkpoint_scores import CheckpointScorer
from limner.engine.train.model_card import best_summary
from limner.imaging.decode import open_image
from limner.reports.plots import Curve, Point, curves_svg, tradeoff_svg
from limner.reports.writer import data_url, write_page
from limner.stats.intervals import interval
from limner.store.files import atomic_file

PAGE, NUMBERS = "checkpoints.html", "checkpoints.json"
COLUMNS, SIDE = 8, 192
"""Steps with images on the page, and the side of these in pixels."""


def write_checkpoint_report(scorer: CheckpointScorer, out: Path) -> None:
    """Write checkpoints.html and checkpoints.json into a folder."""
    scores = scorer.scores
    rows = [_row(scores, each) for each in (scores.base, *scores.after)]
    numbers = {"kept_step": scores.best.step, "steps": rows, **scores.model_dump(mode="json")}
    with atomic_file(out / NUMBERS) as partial:
        partial.write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shown = _shown(scores)
    images = [
        (prompt, [data_url(open_image(scorer.image(each.step, number)), SIDE) for each in shown])
        for number, prompt in enumerate(scores.prompts)
    ]
    write_page(
        out / PAGE,
        "checkpoints.html",
        title="Which checkpoint?",
        kept=best_summary(scores),
        early=scorer.finished,
        patience=scorer.patience,
        encoder=scores.encoder,
        blind=scores.blind,
        weight=f"{scores.weight:.0%}",
        tradeoff=tradeoff_svg(_points(scores), "prompt fidelity", "subject fidelity"),
        curves=curves_svg(_curves(scores)),
        rows=rows,
        best=scores.best.step,
        shown=[each.step for each in shown],
        pictures=images,
    )


def _row(scores: CheckpointScores, each: StepScores) -> dict[str, float]:
    return {
        "step": each.step,
        "subject_fidelity": fmean(each.subject),
        "prompt_fidelity": fmean(each.prompt),
        "scaled_subject": scores.scaled_subject(each),
        "scaled_prompt": scores.scaled_prompt(each),
        "balance": scores.balance(each),
    }


def _shown(scores: CheckpointScores) -> list[StepScores]:
    """The base model, the best checkpoint, and others evenly, in the order of their steps."""
    chosen = {each.step for each in (scores.best, *evenly(scores.after, COLUMNS - 2))}
    return [scores.base, *(each for each in scores.after if each.step in chosen)]


def _points(scores: CheckpointScores) -> list[Point]:
    first = Point("base model", fmean(scores.base.prompt), fmean(scores.base.subject), start=True)
    rest = [
        Point(f"{each.step}", fmean(each.prompt), fmean(each.subject), best=each.step == scores.best.step)
        for each in scores.after
    ]
    return [first, *rest]


def _curves(scores: CheckpointScores) -> list[Curve]:
    every = [scores.base, *scores.after]
    steps, best = [float(each.step) for each in every], float(scores.best.step)
    balances = [(scores.balance(each), math.nan, math.nan) for each in every]
    return [
        Curve("step", "subject fidelity", steps, [interval(each.subject) for each in every], best),
        Curve("step", "prompt fidelity", steps, [interval(each.prompt) for each in every], best),
        Curve("step", "balance of the two", steps, balances, best),
    ]
