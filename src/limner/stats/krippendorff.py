"""How far several people agree, more than chance would have it (Krippendorff's alpha)."""

from __future__ import annotations

import numpy as np

DRAWS = 1000


def alpha(scores: np.ndarray, levels: int) -> float:
    """Krippendorff's alpha of ordered scores: 1 is full agreement, 0 what chance gives; NaN where no two can be
    compared, or all say the same.

    scores: (raters, units), whole numbers from 0 to before `levels`, -1 where a unit was not scored (Krippendorff 2011,
    Computing Krippendorff's Alpha-Reliability, section D, with the ordinal metric).
    """
    return float(_alpha(coincidences(scores, levels).sum(0)))


def alpha_interval(scores: np.ndarray, levels: int) -> tuple[float, float, float]:
    """Alpha and its 95% interval (percentile bootstrap over the units that several scored; NaN where it has none)."""
    units = coincidences(scores, levels)
    units = units[units.sum((1, 2)) > 0]
    whole = float(_alpha(units.sum(0)))
    if len(units) < 2 or not np.isfinite(whole):
        return whole, np.nan, np.nan
    times = np.random.default_rng(0).multinomial(len(units), np.full(len(units), 1 / len(units)), DRAWS)
    drawn = _alpha(np.tensordot(times.astype(np.float64), units, 1))
    if not np.isfinite(drawn).any():
        return whole, np.nan, np.nan
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return whole, float(low), float(high)


def coincidences(scores: np.ndarray, levels: int) -> np.ndarray:
    """How often two people gave a unit two scores, of the pairs of each unit, weighed as if one had scored it once:
    (units, levels, levels). A unit that one person scored has none.
    """
    counts = np.stack([(scores == level).sum(0) for level in range(levels)], axis=1).astype(np.float64)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(levels)
    return pairs / np.maximum(counts.sum(1) - 1, 1)[:, None, None]


def _alpha(coincident: np.ndarray) -> np.ndarray:
    """1 less observed over expected disagreement; coincident: (..., levels, levels) -> (...)."""
    often = coincident.sum(-1)
    total = often.sum(-1)
    below = np.cumsum(often, axis=-1) - often / 2
    apart = np.square(below[..., :, None] - below[..., None, :])  # half of each end counts, all between them
    observed = (coincident * apart).sum((-2, -1))
    expected = (often[..., :, None] * often[..., None, :] * apart).sum((-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - (total - 1) * observed / expected, np.nan)
