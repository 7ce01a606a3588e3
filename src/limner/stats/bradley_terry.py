"""Ratings from pairwise preferences (Bradley and Terry 1952)."""

from __future__ import annotations

import numpy as np

SCALE = 400 / np.log(10)
MEAN = 1000.0
PRIOR = 1.0
"""Ties that each contestant is assumed to have had with the others, shared among them. They keep the rating of a
contestant that always wins finite. Their influence shrinks as votes come in."""


def strengths(wins: np.ndarray, prior: float = PRIOR, tolerance: float = 1e-8, most: int = 20_000) -> np.ndarray:
    """Ratings on the Elo scale with mean 1000: 400 points more means ten times as likely to be preferred.

    wins[..., i, j]: how often i was preferred to j, a tie counting half for both, (..., k, k) -> (..., k). Maximum
    likelihood with the prior ties, by the MM algorithm (Hunter 2004, MM algorithms for generalized Bradley-Terry
    models, eq. 3).
    """
    count = wins.shape[-1]
    every = wins + prior / 2 / max(1, count - 1)
    every = every * (1 - np.eye(count))
    games = every + np.swapaxes(every, -1, -2)
    won = every.sum(-1)
    strength = np.ones(won.shape)
    for _ in range(most):
        met = games / (strength[..., :, None] + strength[..., None, :])
        after = won / met.sum(-1)
        after /= np.exp(np.log(after).mean(-1, keepdims=True))
        change = np.abs(np.log(after / strength)).max()
        strength = after
        if change < tolerance:
            break
    return MEAN + SCALE * np.log(strength)


def win_counts(first: np.ndarray, second: np.ndarray, score: np.ndarray, count: int) -> np.ndarray:
    """Votes -> wins[i, j]. first, second: the contestants of each vote, (n,). score: 1 for the first, 0.5 for a tie."""
    wins = np.zeros((count, count))
    np.add.at(wins, (first, second), score)
    np.add.at(wins, (second, first), 1 - score)
    return wins


def bootstrapped(first: np.ndarray, second: np.ndarray, score: np.ndarray, count: int, draws: int = 1000) -> np.ndarray:
    """Ratings of votes that are drawn from the fitted model for the same pairs, with as many ties; (draws, count).

    This is the parametric bootstrap (Efron and Tibshirani 1993, section 6.5). If votes were resampled, a contestant
    that always won would always win again, as if there were no uncertainty.
    """
    rating = strengths(win_counts(first, second, score, count))
    expected = 1 / (1 + np.exp((rating[second] - rating[first]) / SCALE))
    tied = np.minimum((score == 0.5).mean(), 2 * np.minimum(expected, 1 - expected))
    drawn = np.random.default_rng(0).random((draws, len(score)))
    won = expected - tied / 2
    scores = np.where(drawn < won, 1.0, np.where(drawn < won + tied, 0.5, 0.0))
    return strengths(np.stack([win_counts(first, second, each, count) for each in scores]))
