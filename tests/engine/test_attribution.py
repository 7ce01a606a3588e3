"""Scores of training pictures, by sums that are done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from limner.engine.influence.attribution import judged, leave_one_out, scores, worth_rows


def rows_of(*means, count=12, spread=0.1):
    """Scores of training images for `count` others, of these means, with an equal spread."""
    noise = spread * np.random.default_rng(3).normal(size=(count, len(means)))
    return np.array(means) + noise - noise.mean(0)


def said(rows, distrust=None):
    return [each.verdict for each in judged(rows, distrust)]


def test_a_verdict_takes_a_worth_that_is_more_than_chance():
    assert said(rows_of(1, 1, 1, -1)) == ["useful", "useful", "useful", "harmful"]
    assert said(rows_of(0.01, 1, -0.01, 0.01, spread=0.5)) == [None, "useful", None, None]
    assert said(rows_of(1, 1, 1, -1), "it does not agree") == [None] * 4
    assert said(rows_of(1, 1, 1, -1, count=7)) == [None] * 4, "of four images, eight scores each are needed"
    assert said(rows_of(1, 1, 1, -1, count=8)) == ["useful", "useful", "useful", "harmful"]


def test_images_that_are_all_below_zero_harm_nobody():
    assert said(rows_of(-0.5, -0.5, -0.5, -0.5)) == [None] * 4
    assert said(rows_of(-0.5, -0.5, -0.5, -2)) == [None, None, None, "harmful"]


def test_a_tenth_of_the_greatest_is_as_good_as_none():
    assert said(rows_of(10, 0.5, -0.5, 1.5)) == ["useful", "useless", "useless", "useful"]


def test_images_that_a_model_has_learned_do_not_harm_each_other():
    """Their gradients sum to zero, so each scores below zero for the others."""
    rng = np.random.default_rng(1)
    training = rng.normal(size=(12, 40))
    training -= training.mean(0)
    rows = worth_rows(np.zeros((0, 40)), training, 0.1)
    worths = judged(rows)
    assert sum(each.worth.mean < 0 for each in worths) >= 11
    assert "harmful" not in [each.verdict for each in worths]


def test_the_ridge_is_in_parts_of_the_mean_square():
    """Two pictures of gradients 3 and 4 along axes of their own: each scores itself g^2 / (g^2 + lambda 12.5)."""
    training = np.diag([3.0, 4.0])
    assert scores(training, training, 0.2) == pytest.approx(np.diag([9 / 11.5, 16 / 18.5]))


def test_worth_is_the_mean_over_pictures_held_out_and_over_the_others():
    """One held out, which is like the first; the others of each picture have nothing in common with it."""
    training = np.eye(3)
    held_out = np.array([[1.0, 0.0, 0.0]])
    found = np.nanmean(worth_rows(held_out, training, 1.0), axis=0)
    assert found == pytest.approx([0.5 / 3, 0, 0])
    twins = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    rows = leave_one_out(twins, 1.0)
    assert rows[0, 1] == pytest.approx(0.5) and rows[0, 2] == pytest.approx(0) and np.isnan(rows[0, 0])
    assert np.nanmean(worth_rows(np.zeros((0, 2)), twins, 1.0), axis=0) == pytest.approx([0.25, 0.25, 0])
