"""Pictures that are shown more often than others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

GOLDEN = (5**0.5 - 1) / 2


def weights_of(weights: Sequence[float]) -> tuple[float, ...] | None:
    """Weights as they are drawn by; None where all are equal."""
    return tuple(weights) if len(set(weights)) > 1 else None


def drawn(weights: Sequence[float], turn: int, start: float) -> list[int]:
    """Which of n pictures one pass over them shows: n indices in rising order, each as often as its weight's share.

    That is systematic sampling: a picture whose share is 2.3 is shown two or three times. The offset goes on by the
    golden ratio from pass to pass, so that over passes the counts stay near the shares instead of wandering off. start:
    the first pass's offset, 0 to 1.
    """
    shares = np.cumsum(np.asarray(weights, dtype=np.float64))
    shares *= len(weights) / shares[-1]
    points = np.arange(len(weights)) + (start + turn * GOLDEN) % 1
    return np.minimum(np.searchsorted(shares, points, side="right"), len(weights) - 1).tolist()
