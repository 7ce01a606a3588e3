"""Gradients -> how much each training picture did, after TRAK (Park et al. 2023, arXiv 2303.14186)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from limner.core.errors import LimnerError
from limner.core.influence import Usefulness

NEAR = 0.1
"""A worth below this share of the greatest is as good as none."""


def scores(pictures: np.ndarray, training: np.ndarray, ridge: float) -> np.ndarray:
    """phi(x)^T (Phi^T Phi + lambda I)^-1 Phi^T for features (q, k) of pictures and (n, k) of training ones: (q, n).

    By the identity (Phi^T Phi + lambda I)^-1 Phi^T = Phi^T (Phi Phi^T + lambda I)^-1 it takes a system of n, not k,
    numbers. ridge: lambda in parts of the mean square of a training picture's features, so that no scale matters.
    """
    kernel = training @ training.T
    size = float(np.trace(kernel)) / len(training)
    if not np.isfinite(kernel).all() or not np.isfinite(pictures).all() or size <= 0:
        raise LimnerError(
            "the adapter's gradients are no finite numbers, or all zero", "use --precision fp32, or train it again"
        )
    return np.linalg.solve(kernel + ridge * size * np.eye(len(training)), training @ pictures.T).T


def among(training: np.ndarray, ridge: float) -> np.ndarray:
    """Scores of the others for each training picture, as if it had not been learnt from; (n, k) -> (n, n).

    The diagonal is NaN.
    """
    count = len(training)
    found = np.full((count, count), np.nan)
    for left in range(count if count > 1 else 0):
        others = np.arange(count) != left
        found[left, others] = scores(training[left : left + 1], training[others], ridge)[0]
    return found


def worth(watched: np.ndarray, training: np.ndarray, ridge: float) -> np.ndarray | None:
    """Mean score of each training picture for held-out pictures (m, k) and for the other training pictures: (n,).

    None where there is neither.
    """
    told = np.concatenate([scores(watched, training, ridge), among(training, ridge)])
    known = ~np.isnan(told)
    return np.where(known, told, 0).sum(0) / known.sum(0) if known.any(0).all() else None


def verdicts(worths: Sequence[float] | np.ndarray) -> list[Usefulness]:
    """What is said of each worth: below zero it does harm, near zero nothing."""
    told = np.asarray(worths, dtype=np.float64)
    near = NEAR * np.abs(told).max(initial=0.0)
    return ["useless" if abs(value) <= near else "useful" if value > 0 else "harmful" for value in told]
