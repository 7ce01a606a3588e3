"""Attribution scores from gradients, after TRAK (Park et al. 2023, arXiv 2303.14186)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from limner.core.errors import LimnerError
from limner.core.influence import Usefulness
from limner.engine.scoring.evidence import Evidence

NEAR = 0.1
"""A worth below this share of the greatest counts as none."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The worth of a training image with its interval, and the verdict; None if the evidence is not sufficient."""

    worth: Evidence
    verdict: Usefulness | None


def scores(queries: np.ndarray, training: np.ndarray, ridge: float) -> np.ndarray:
    """phi(x)^T (Phi^T Phi + lambda I)^-1 Phi^T for features (q, k) of queries and (n, k) of training images: (q, n).

    By the identity (Phi^T Phi + lambda I)^-1 Phi^T = Phi^T (Phi Phi^T + lambda I)^-1 it solves a system of n, not k,
    numbers. ridge: lambda as a multiple of the mean square of a training image's features, so that no scale matters.
    """
    kernel = training @ training.T
    size = float(np.trace(kernel)) / len(training)
    if not np.isfinite(kernel).all() or not np.isfinite(queries).all() or size <= 0:
        raise LimnerError(
            "the adapter's gradients are not finite, or all zero", "use --precision fp32, or train it again"
        )
    return np.linalg.solve(kernel + ridge * size * np.eye(len(training)), training @ queries.T).T


def leave_one_out(training: np.ndarray, ridge: float) -> np.ndarray:
    """Scores of the other training images for each, as if it had not been trained on; (n, k) -> (n, n).

    The diagonal is NaN.
    """
    count = len(training)
    found = np.full((count, count), np.nan)
    for left in range(count if count > 1 else 0):
        others = np.arange(count) != left
        found[left, others] = scores(training[left : left + 1], training[others], ridge)[0]
    return found


def worth_rows(held_out: np.ndarray, training: np.ndarray, ridge: float) -> np.ndarray | None:
    """Scores (m + n, n) of each training image for held-out images (m, k) and for the other training images.

    NaN for an image itself. None where there is no image to judge one of them on.
    """
    rows = np.concatenate([scores(held_out, training, ridge), leave_one_out(training, ridge)])
    return rows if (~np.isnan(rows)).any(0).all() else None


def judged(rows: np.ndarray, distrust: str | None = None) -> list[Judged]:
    """The worth of each training image, from its scores (m, n), NaN where it has none, and the verdict on it.

    Useful: the worth is above zero. Harmful: it is below zero and below that of the others, because where a model has
    learned its training images, their gradients cancel and all score below zero for each other. Useless: its whole
    interval is within `NEAR` of the greatest worth. Each only by evidence (`Evidence`), with as many tests as images.
    """
    count = rows.shape[1]
    worths = np.nanmean(rows, axis=0)
    near = NEAR * float(np.abs(worths).max(initial=0.0))
    found: list[Judged] = []
    for index in range(count):
        column = rows[:, index]
        known = ~np.isnan(column)
        own = column[known]
        above_zero = Evidence.of(np.zeros(len(own)), own, count, distrust)
        verdict: Usefulness | None = None
        if above_zero.sufficient and above_zero.mean > 0:
            verdict = "useful"
        elif above_zero.sufficient and count > 1:
            others = np.nanmean(np.delete(rows[known], index, axis=1), axis=1)
            below_others = Evidence.of(others, own, count, distrust)
            verdict = "harmful" if below_others.sufficient and below_others.mean < 0 else None
        if distrust is None and above_zero.enough_pairs and max(-above_zero.low, above_zero.high) <= near:
            verdict = "useless"
        found.append(Judged(above_zero, verdict))
    return found
