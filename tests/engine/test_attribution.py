"""Scores of training pictures, by sums that are done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from limner.engine.influence.attribution import leave_one_out, scores, verdicts, worth


@pytest.mark.parametrize(
    ("worths", "said"),
    [
        ([10, 1.0, 1.01, -1.0, -1.01], ["useful", "useless", "useful", "useless", "harmful"]),
        ([-10, 1.0, 1.01, -1.0, -1.01], ["harmful", "useless", "useful", "useless", "harmful"]),
        ([0.0, 0.0], ["useless", "useless"]),
    ],
)
def test_a_tenth_of_the_greatest_is_as_good_as_none(worths, said):
    assert verdicts(worths) == said


def test_the_ridge_is_in_parts_of_the_mean_square():
    """Two pictures of gradients 3 and 4 along axes of their own: each scores itself g^2 / (g^2 + lambda 12.5)."""
    training = np.diag([3.0, 4.0])
    assert scores(training, training, 0.2) == pytest.approx(np.diag([9 / 11.5, 16 / 18.5]))


def test_worth_is_the_mean_over_pictures_held_out_and_over_the_others():
    """One held out, which is like the first; the others of each picture have nothing in common with it."""
    training = np.eye(3)
    held_out = np.array([[1.0, 0.0, 0.0]])
    found = worth(held_out, training, 1.0)
    assert found == pytest.approx([0.5 / 3, 0, 0])
    twins = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    rows = leave_one_out(twins, 1.0)
    assert rows[0, 1] == pytest.approx(0.5) and rows[0, 2] == pytest.approx(0) and np.isnan(rows[0, 0])
    assert worth(np.zeros((0, 2)), twins, 1.0) == pytest.approx([0.25, 0.25, 0])
