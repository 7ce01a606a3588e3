"""Agreement of several raters beyond chance (Krippendorff's alpha)."""

from __future__ import annotations

import numpy as np

DRAWS = 1000


def alpha_interval(scores: np.ndarray, levels: int) -> tuple[float, float, float]:
    """Alpha of ordered scores and its 95% interval (percentile bootstrap over the units that several raters scored).

    scores: (raters, units), integers from 0 to `levels` - 1, and -1 where a unit was not scored. 1 is full agreement,
    0 agreement by chance; NaN where no two scores of a unit can be compared or all are equal.
    """
    units = coincidences(scores, levels)
    units = units[units.sum((1, 2)) > 0]
    whole = float(alpha(units.sum(0)))
    if len(units) < 2 or not np.isfinite(whole):
        return whole, np.nan, np.nan
    times = np.random.default_rng(0).multinomial(len(units), np.full(len(units), 1 / len(units)), DRAWS)
    drawn = alpha(np.tensordot(times.astype(np.float64), units, 1))
    if not np.isfinite(drawn).any():
        return whole, np.nan, np.nan
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return whole, float(low), float(high)


def coincidences(scores: np.ndarray, levels: int) -> np.ndarray:
    """The coincidence matrix of each unit, (units, levels, levels): how often two raters gave it two scores.

    Weighted so that each score counts once; zero for a unit that only one rater scored.
    """
    counts = np.stack([(scores == level).sum(0) for level in range(levels)], axis=1).astype(np.float64)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(levels)
    return pairs / np.maximum(counts.sum(1) - 1, 1)[:, None, None]


def alpha(coincident: np.ndarray) -> np.ndarray:
    """Krippendorff's alpha of coincidence matrices (..., levels, levels): (...).

    1 minus observed over expected disagreement, with the ordinal metric (Krippendorff 2011, Computing Krippendorff's
    Alpha-Reliability, section D).
    """
    often = coincident.sum(-1)
    total = often.sum(-1)
    below = np.cumsum(often, axis=-1) - often / 2
    distance = np.square(below[..., :, None] - below[..., None, :])  # half of each end counts, and all between them
    observed = (coincident * distance).sum((-2, -1))
    expected = (often[..., :, None] * often[..., None, :] * distance).sum((-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - (total - 1) * observed / expected, np.nan)
