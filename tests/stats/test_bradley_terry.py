"""Ratings from votes: known ratings are recovered, and the prior keeps all ratings finite."""

import numpy as np
import pytest

from limner.stats.bradley_terry import PRIOR, bootstrapped, strengths, win_counts

ELO = np.array([1150.0, 1050.0, 950.0, 850.0])


def simulated(rng, count):
    """Votes of people who prefer as the ratings say."""
    first, second = rng.integers(4, size=(2, count))
    met = first != second
    first, second = first[met], second[met]
    chance = 1 / (1 + 10 ** ((ELO[second] - ELO[first]) / 400))
    return first, second, (rng.random(len(first)) < chance).astype(float)


def test_known_strengths_come_back_from_simulated_votes():
    found = strengths(win_counts(*simulated(np.random.default_rng(3), 40_000), 4))
    assert np.abs(found - ELO).max() < 12
    assert found.mean() == pytest.approx(1000)


def test_the_intervals_cover_the_truth_as_often_as_stated():
    rng, held = np.random.default_rng(4), []
    for _ in range(25):
        low, high = np.quantile(bootstrapped(*simulated(rng, 800), 4, 200), (0.025, 0.975), axis=0)
        held += list((low < ELO) & (high > ELO))
        assert (high - low < 110).all()
    assert 0.88 <= np.mean(held) <= 0.99


def test_two_contestants_without_a_prior_are_their_log_odds():
    found = strengths(np.array([[0.0, 30.0], [10.0, 0.0]]), prior=0)
    assert found[0] - found[1] == pytest.approx(400 * np.log10(3), abs=1e-4)


@pytest.mark.parametrize("votes", [1, 10, 1000])
def test_the_prior_keeps_ratings_finite(votes):
    found = strengths(np.array([[0.0, votes], [0.0, 0.0]]))
    assert found[0] - found[1] == pytest.approx(400 * np.log10((votes + PRIOR / 2) / (PRIOR / 2)), abs=1e-3)


def test_ties_alone_leave_all_equal():
    first, second = np.array([0, 1, 2]), np.array([1, 2, 0])
    assert strengths(win_counts(first, second, np.full(3, 0.5), 3)) == pytest.approx([1000] * 3)


def test_a_contestant_without_votes_is_between_the_others():
    found = strengths(win_counts(np.zeros(50, int), np.ones(50, int), np.r_[np.ones(40), np.zeros(10)], 3))
    assert found[0] > found[2] > found[1]
    assert found[2] == pytest.approx(1000, abs=1)


def test_a_tie_counts_half_for_both():
    wins = win_counts(np.array([0, 0]), np.array([1, 1]), np.array([1.0, 0.5]), 2)
    assert wins.tolist() == [[0, 1.5], [0.5, 0]]


def test_sides_do_not_matter():
    rng = np.random.default_rng(0)
    first, second = rng.permuted(np.tile([0, 1, 2], (200, 1)), axis=1)[:, :2].T
    score = rng.choice([0, 0.5, 1], 200)
    turned = strengths(win_counts(second, first, 1 - score, 3))
    assert turned == pytest.approx(strengths(win_counts(first, second, score, 3)))


@pytest.mark.parametrize(("votes", "odds"), [(1, 3), (2, 5), (10, 21)])
def test_the_prior_is_one_tie(votes, odds):
    """Half a win and half a defeat for each of two: after one vote the odds are 1.5 to 0.5."""
    found = strengths(np.array([[0.0, votes], [0.0, 0.0]]))
    assert found[0] - found[1] == pytest.approx(400 * np.log10(odds), abs=1e-3)


def test_the_prior_is_shared_among_the_others():
    """Of three, each has half a tie with each other one. By the likelihood's own equations, and by no iteration."""
    wins = np.array([[0.0, 7.0, 5.0], [2.0, 0.0, 6.0], [1.0, 3.0, 0.0]])
    found = strengths(wins)
    every = wins + 0.25 * (1 - np.eye(3))
    chance = 1 / (1 + 10 ** ((found[None] - found[:, None]) / 400))
    games = every + every.T
    assert every.sum(1) == pytest.approx((games * chance * (1 - np.eye(3))).sum(1), abs=1e-4)


def test_ties_are_drawn_as_often_as_observed():
    """Two who are alike: with half of the votes ties, their lead varies by half of what it does without a tie."""
    first, second = np.zeros(400, int), np.ones(400, int)
    whole = np.tile([1.0, 0.0], 200)
    ties = np.where(np.arange(400) < 200, 0.5, whole)
    spread = [np.ptp(bootstrapped(first, second, score, 2, 400), axis=1).std() for score in (whole, ties)]
    assert (spread[1] / spread[0]) ** 2 == pytest.approx(0.5, abs=0.1)
