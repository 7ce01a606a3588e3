"""Who is how strong, by who was preferred to whom (Bradley and Terry 1952)."""

from __future__ import annotations

import numpy as np

SCALE = 400 / np.log(10)
MEAN = 1000.0
PRIOR = 1.0
"""Ties that each contestant is taken to have had with the others, shared among them, before anybody voted: with it the
strength of one who always wins is finite. Its share in the result falls as votes come in."""


def strengths(wins: np.ndarray, prior: float = PRIOR, tolerance: float = 1e-8, most: int = 20_000) -> np.ndarray:
    """Ratings on the scale of Elo, of mean 1000: 400 more is preferred ten times as often.

    wins[..., i, j]: how often i was preferred to j, a tie counting half for both, (..., k, k) -> (..., k). Maximum
    likelihood by minorisation and maximisation (Hunter 2004, MM algorithms for generalized Bradley-Terry models,
    eq. 3), with the prior's ties added.
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


def tally(first: np.ndarray, second: np.ndarray, score: np.ndarray, count: int) -> np.ndarray:
    """Votes -> wins[i, j]. first, second: who met, (n,); score: 1 where the first was preferred, 0.5 of a tie."""
    wins = np.zeros((count, count))
    np.add.at(wins, (first, second), score)
    np.add.at(wins, (second, first), 1 - score)
    return wins


def bootstrapped(first: np.ndarray, second: np.ndarray, score: np.ndarray, count: int, draws: int = 1000) -> np.ndarray:
    """Ratings of votes drawn anew for the same pairs as the ratings say, with ties as often; (draws, count).

    The parametric bootstrap (Efron and Tibshirani 1993, section 6.5): drawn from the votes themselves, one who always
    won would always win again, as if nothing were uncertain.
    """
    rating = strengths(tally(first, second, score, count))
    expected = 1 / (1 + np.exp((rating[second] - rating[first]) / SCALE))
    tied = np.minimum((score == 0.5).mean(), 2 * np.minimum(expected, 1 - expected))
    drawn = np.random.default_rng(0).random((draws, len(score)))
    won = expected - tied / 2
    scores = np.where(drawn < won, 1.0, np.where(drawn < won + tied, 0.5, 0.0))
    return strengths(np.stack([tally(first, second, each, count) for each in scores]))
