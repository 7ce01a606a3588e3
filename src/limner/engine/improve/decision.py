"""Whether an improved version replaces the original: it must win the preferences, and lose nothing beyond a margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from limner.core.improve import PREFERENCE, Decision, Measured, Verdict
from limner.core.metrics import MetricResult
from limner.stats.intervals import difference, wilson

CHANCE = 0.5
"""Share of pairs that a version without any preference orders as people do."""
ABSOLUTE = {"class_drift": 0.05, "memorisation": 0.05}
"""Margins of measures that are near 0 for a good version, so that a share of the original's value says nothing."""
RELATIVE = {"diversity": 1 / 3}
"""Margins as shares of the original's value, where a taste itself costs more than the tolerance: if people like blue
things, all become blue.
"""
UNITS = {"picture": "image pair", "group": "prompt", "set": "image set"}


def judge(
    change: float, low: float | None, high: float | None, better: Literal["higher", "lower"], margin: float
) -> Verdict:
    """The verdict on a difference with its interval. margin: the largest loss that is allowed."""
    sign = 1.0 if better == "higher" else -1.0
    if sign * change < -margin:
        return "worse"
    worst = low if better == "higher" else high
    if worst is None:
        return "uncertain"
    return "better" if sign * worst > 0 else "kept" if sign * worst >= -margin else "uncertain"


def measured(
    old: MetricResult, new: MetricResult, tolerance: float, doubt: str | None = None, smallest: float = 0.0
) -> Measured:
    """The comparison of two results of one metric on the same prompts and seeds.

    tolerance: the margin as a share of the original's value, for metrics without a margin in `ABSOLUTE` or `RELATIVE`.
    smallest: the smallest difference that matters, by which equally good images differ; no margin is below it.
    """
    assert old.better is not None, f"{old.metric} has no better direction"
    change, low, high = difference(old.values, new.values)
    bounds = (low, high) if np.isfinite(low) else (None, None)
    name = old.metric.partition("=")[0]
    margin = max(smallest, ABSOLUTE.get(name, RELATIVE.get(name, tolerance) * abs(old.mean)))
    return Measured(
        name=name,
        title=old.title,
        better=old.better,
        old=old.mean,
        new=new.mean,
        difference=change,
        low=bounds[0],
        high=bounds[1],
        count=len(old.values),
        of=UNITS[old.unit],
        margin=margin,
        verdict=judge(change, *bounds, old.better, margin),
        doubt=doubt,
    )


def preference_accuracy(right: int, count: int) -> Measured:
    """The share of held-out pairs that the improved version orders as people do, against chance (Wilson 1927).

    A version orders a pair by how much less than the original it errs in denoising each image (implicit reward,
    Rafailov et al. 2023, arXiv 2305.18290), so that the original itself orders none. count: at least 1.
    """
    share, low, high = wilson(right, count)
    return Measured(
        name=PREFERENCE,
        title="preference accuracy",
        better="higher",
        old=CHANCE,
        new=share,
        difference=share - CHANCE,
        low=low - CHANCE,
        high=high - CHANCE,
        count=count,
        of="held-out pair",
        margin=0.0,
        verdict="better" if low > CHANCE else "worse" if high < CHANCE else "uncertain",
    )


def decide(found: Sequence[Measured], unmeasured: Sequence[str] = ()) -> Decision:
    """The decision by all measures. unmeasured: what was not measured, and why."""
    preferred = next((each for each in found if each.name == PREFERENCE), None)
    others = [each for each in found if each.name != PREFERENCE]
    against = [_loss(each) for each in others if each.verdict == "worse"]
    if preferred is not None and preferred.verdict != "better":
        against.insert(0, f"it orders {_shares(preferred)} as people do, which is not certainly more than chance")
    if preferred is None or not others:
        against += [f"not measured: {each}" for each in unmeasured] or ["nothing was measured"]
    if against:
        return Decision(replaces=False, reasons=tuple(against))
    assert preferred is not None
    won = f"it orders {_shares(preferred)} as people do, which is more than chance"
    kept = f"{_titles(others)} {'loses' if len(others) == 1 else 'lose'} no more than the margin"
    open_ = [each for each in others if each.verdict == "uncertain"]
    few = (f"for {_titles(open_)}, more images are needed to be certain of that",) if open_ else ()
    return Decision(replaces=True, reasons=(won, kept, *few))


def _loss(each: Measured) -> str:
    return f"{each.title} loses more than the margin of {each.margin:.3f}: {each.figures}"


def _shares(preferred: Measured) -> str:
    assert preferred.low is not None and preferred.high is not None
    low, high = CHANCE + preferred.low, CHANCE + preferred.high
    return f"{preferred.new:.0%} [{low:.0%}, {high:.0%}] of {preferred.compared}"


def _titles(those: Sequence[Measured]) -> str:
    *first, last = [each.title for each in those]
    return f"{', '.join(first)} and {last}" if first else last
