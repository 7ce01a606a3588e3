"""Standings told: a page with the trade-off over steps, and the numbers as JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean

from limner.core.checkpoint_scores import Standing, Standings
from limner.core.choice import evenly
from limner.engine.train.checkpoint_scores import Contest
from limner.engine.train.model_card import told_best
from limner.imaging.decode import open_photograph
from limner.reports.curves import Curve, curves_svg
from limner.reports.render import embedded, write_page
from limner.reports.tradeoff import Point, tradeoff_svg
from limner.stats.intervals import interval
from limner.store.files import atomic_file

PAGE, NUMBERS, COLUMNS, SIDE = "checkpoints.html", "checkpoints.json", 8, 192


def write_standings(contest: Contest, out: Path) -> None:
    """Write checkpoints.html and checkpoints.json into a folder."""
    found = contest.standings
    rows = [_row(found, standing) for standing in (found.base, *found.after)]
    numbers = {"kept_step": found.best.step, "steps": rows, **found.model_dump(mode="json")}
    with atomic_file(out / NUMBERS) as partial:
        partial.write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shown = _shown(found)
    pictures = [
        (prompt, [embedded(open_photograph(contest.picture(each.step, number)), SIDE) for each in shown])
        for number, prompt in enumerate(found.prompts)
    ]
    write_page(
        out / PAGE,
        "checkpoints.html",
        title="Which checkpoint?",
        kept=told_best(found),
        early=contest.over,
        patience=contest.patience,
        encoder=found.encoder,
        blind=found.blind,
        weight=f"{found.weight:.0%}",
        tradeoff=tradeoff_svg(_points(found), "prompt fidelity", "subject fidelity"),
        curves=curves_svg(_curves(found)),
        rows=rows,
        best=found.best.step,
        shown=[each.step for each in shown],
        pictures=pictures,
    )


def _row(found: Standings, standing: Standing) -> dict[str, float]:
    return {
        "step": standing.step,
        "subject_fidelity": fmean(standing.subject),
        "prompt_fidelity": fmean(standing.prompt),
        "likeness": found.likeness(standing),
        "obedience": found.obedience(standing),
        "balance": found.balance(standing),
    }


def _shown(found: Standings) -> list[Standing]:
    """The base, the best, and others evenly, in the order of their steps."""
    chosen = {each.step for each in (found.best, *evenly(found.after, COLUMNS - 2))}
    return [found.base, *(each for each in found.after if each.step in chosen)]


def _points(found: Standings) -> list[Point]:
    first = Point("base model", fmean(found.base.prompt), fmean(found.base.subject), start=True)
    rest = [
        Point(f"{each.step}", fmean(each.prompt), fmean(each.subject), best=each.step == found.best.step)
        for each in found.after
    ]
    return [first, *rest]


def _curves(found: Standings) -> list[Curve]:
    standings = [found.base, *found.after]
    places, best = [float(each.step) for each in standings], float(found.best.step)
    balances = [(found.balance(each), math.nan, math.nan) for each in standings]
    return [
        Curve("step", "subject fidelity", places, [interval(each.subject) for each in standings], best),
        Curve("step", "prompt fidelity", places, [interval(each.prompt) for each in standings], best),
        Curve("step", "balance of the two", places, balances, best),
    ]
