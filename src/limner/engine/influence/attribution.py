"""Attribution scores from gradients, after TRAK (Park et al. 2023, arXiv 2303.14186)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from limner.core.errors import LimnerError
from limner.core.influence import Usefulness

NEAR = 0.1
"""A worth below this share of the greatest counts as none."""


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


def worth(held_out: np.ndarray, training: np.ndarray, ridge: float) -> np.ndarray | None:
    """Mean score of each training image for held-out images (m, k) and for the other training images: (n,).

    None where there are neither.
    """
    rows = np.concatenate([scores(held_out, training, ridge), leave_one_out(training, ridge)])
    known = ~np.isnan(rows)
    return np.where(known, rows, 0).sum(0) / known.sum(0) if known.any(0).all() else None


def verdicts(worths: Sequence[float] | np.ndarray) -> list[Usefulness]:
    """The verdict on each worth: harmful below zero, useless near zero, else useful."""
    values = np.asarray(worths, dtype=np.float64)
    near = NEAR * np.abs(values).max(initial=0.0)
    return ["useless" if abs(value) <= near else "useful" if value > 0 else "harmful" for value in values]
