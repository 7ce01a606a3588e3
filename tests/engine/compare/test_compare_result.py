"""Paired differences, and their sentences."""

import numpy as np
import pytest

from limner.core.metrics import MetricResult
from limner.engine.compare.result import differences, rounded, verdict


def scored(values, better="higher", unit="picture"):
    return MetricResult("fidelity", "prompt fidelity", better, unit, None, float(np.mean(values)), 0, 0, tuple(values))


@pytest.fixture
def noise():
    return np.random.default_rng(1).normal(0.3, 0.1, 40)


def test_a_known_difference_is_found_though_prompts_vary_more(noise):
    """The truth is 0.02, a fifth of how the prompts differ: unpaired, it would not be seen."""
    after = noise + 0.02 + np.random.default_rng(2).normal(0, 0.01, 40)
    (found,) = differences({"a": {"f": scored(noise)}, "b": {"f": scored(after)}})
    assert found.evidence.mean == pytest.approx(0.02, abs=0.005)
    assert 0 < found.evidence.low < 0.02 < found.evidence.high < 0.03
    assert (found.winner, found.evidence.count) == ("b", 40)
    low, high = (text for text in rounded(found.evidence.low, found.evidence.high))
    assert found.sentence().startswith("prompt fidelity: b is better than a: +0.0")
    assert low[:4] in found.sentence() and high[:4] in found.sentence()
    assert verdict([found]).startswith("By prompt fidelity, b is better than a: +0.0")
    assert verdict([found]).endswith("over 40 pairs of images.")


def test_where_lower_is_better_the_other_way_round(noise):
    (found,) = differences({"a": {"f": scored(noise, "lower")}, "b": {"f": scored(noise + 0.5, "lower")}})
    assert found.winner == "a"
    assert found.sentence().startswith("prompt fidelity: a is better than b: +0.500")
    assert "b is worse than a" in verdict([found])


def test_no_difference_is_claimed_of_noise(noise):
    after = noise + np.random.default_rng(4).normal(0, 0.05, 40)
    (found,) = differences({"a": {"f": scored(noise)}, "b": {"f": scored(after)}})
    assert not found.evidence.significant and found.winner is None
    assert "no clear difference between b and a" in found.sentence()
    assert verdict([found]).startswith("Cannot tell whether b is better or worse than a: the difference may be chance")


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    held, rng = 0, np.random.default_rng(5)
    for _ in range(200):
        before, after = rng.normal(0, 1, 30), rng.normal(0.4, 1, 30)
        (found,) = differences({"a": {"f": scored(before)}, "b": {"f": scored(after)}})
        held += found.evidence.low <= 0.4 <= found.evidence.high
    assert 0.88 <= held / 200 <= 0.99


def test_one_pair_shows_nothing():
    (found,) = differences({"a": {"f": scored([0.1])}, "b": {"f": scored([0.9])}})
    assert not found.evidence.significant
    assert found.figures == "+0.8, from a single pair"
    assert found.as_json()["low"] is None and found.as_json()["high"] is None


def test_few_pairs_show_nothing_however_clear_they_look():
    (found,) = differences({"a": {"f": scored([0.1] * 5)}, "b": {"f": scored([0.9, 0.8, 0.9, 0.8, 0.9])}})
    assert found.evidence.low > 0 and not found.evidence.significant and found.winner is None
    assert found.figures.endswith("over 5 pairs of images, too few for a conclusion")


def test_a_score_without_a_better_way_names_no_winner(noise):
    found = differences({"a": {"f": scored(noise, None)}, "b": {"f": scored(noise + 1, None)}})
    assert found[0].winner is None and "b is higher than a" in found[0].sentence()
    assert verdict(found).startswith("Cannot tell which is better: none of the scores has a better direction")


def test_of_three_the_others_are_compared_with_the_first(noise):
    scores = {name: {"f": scored(noise + add)} for name, add in (("a", 0), ("b", 0.1), ("c", -0.1))}
    found = differences(scores)
    assert [(each.first, each.other) for each in found] == [("a", "b"), ("a", "c")]
    assert "b is better than a" in verdict(found) and "c is worse than a" in verdict(found)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((0.0312, 0.012, 0.0503), ["+0.0312", "+0.0120", "+0.0503"]),
        ((12.34, -5.0), ["+12.3", "-5.0"]),
        ((0,), ["+0.000"]),
    ],
)
def test_numbers_have_three_digits(values, texts):
    assert rounded(*values) == texts
