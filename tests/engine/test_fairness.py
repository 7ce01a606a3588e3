"""Groups that are alike show no gap beyond chance; one that is worse is named."""

from __future__ import annotations

import numpy as np
import pytest

from limner.core.errors import LimnerError
from limner.core.metrics import MetricResult
from limner.stats.group_fairness import by_group, fairness


def _drawn(seed: int, count: int = 30, **means: float) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(mean, 1, count).tolist() for name, mean in means.items()}


def test_the_worst_group_is_named_and_the_gap_holds_the_truth():
    held = 0
    for seed in range(40):
        told = fairness("sharpness", _drawn(seed, corgi=5.0, poodle=4.9, husky=3.0))
        assert told.worst == "husky" and told.best in ("corgi", "poodle") and told.chance < 0.01
        assert [group.value for group in told.groups] == ["corgi", "poodle", "husky"] and told.groups[0].count == 30
        held += told.low <= 2.0 <= told.high
    assert held >= 33  # of 40, where 38 are to be expected


def test_groups_that_are_alike_part_by_chance():
    found = [fairness("sharpness", _drawn(seed, a=1.0, b=1.0, c=1.0, d=1.0)) for seed in range(40)]
    assert sum(told.chance < 0.05 for told in found) <= 6
    assert sum(told.low == 0 for told in found) >= 30


def test_the_best_is_the_lowest_where_lower_is_better():
    told = fairness("clipping", {"corgi": [1.0, 1.2, 0.9], "husky": [5.0, 5.5, 5.1]}, "lower")
    assert (told.best, told.worst) == ("corgi", "husky") and told.gap == pytest.approx(5.2 - 3.1 / 3)


def test_equal_groups_have_no_gap():
    told = fairness("clipping", {"corgi": [1.0, 1.0], "husky": [1.0, 1.0]})
    assert (told.gap, told.low, told.high, told.chance) == (0, 0, 0, 1)


def test_it_says_the_same_again():
    values = _drawn(3, corgi=5.0, husky=4.0)
    assert fairness("sharpness", values) == fairness("sharpness", values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "one group only"),
        ({"corgi": [1.0, 2.0]}, "one group only"),
        ({"corgi": [1.0, 2.0], "husky": [1.0]}, "'husky' has fewer than two"),
        ({"corgi": [1.0, 2.0], "husky": [1.0, float("nan")]}, "no number"),
    ],
)
def test_too_little_is_one_line(values, said):
    with pytest.raises(LimnerError, match=said):
        fairness("sharpness", values)


def test_what_prompts_differ_by_is_no_noise_of_pairs():
    rng = np.random.default_rng(1)
    prompts = rng.normal(0, 10, 24)
    values = {"corgi": (prompts + rng.normal(0, 0.5, 24)).tolist(), "husky": (prompts + 1).tolist()}
    apart, paired = (fairness("sharpness", values, paired=each) for each in (False, True))
    assert paired.gap == apart.gap and paired.worst == apart.worst == "corgi"
    assert paired.shown and paired.chance < 0.01 and not apart.shown
    assert paired.low > 0 and paired.high - paired.low < 1 < apart.high - apart.low


def test_pairs_that_are_alike_part_by_chance():
    found = [fairness("sharpness", _drawn(seed, a=1.0, b=1.0, c=1.0), paired=True) for seed in range(60)]
    assert sum(told.shown for told in found) <= 8


@pytest.mark.parametrize(
    ("paired", "groups", "least"),
    [(True, {"a": 4, "b": 4}, 0.125), (True, {"a": 6, "b": 6}, 1 / 32), (True, {"a": 4, "b": 4, "c": 4}, 6 / 6**4)]
    + [(False, {"a": 2, "b": 2}, 2 / 6), (False, {"a": 4, "b": 4}, 2 / 70)],
)
def test_it_is_known_how_rare_a_gap_of_so_few_can_be(paired, groups, least):
    told = fairness(
        "sharpness",
        {name: [number + 0.01 * i for i in range(count)] for number, (name, count) in enumerate(groups.items())},
        paired=paired,
    )
    assert told.least == pytest.approx(least)
    assert told.chance == pytest.approx(least, abs=0.03), "these groups part as far as they can"
    assert told.few == (least >= 0.05)


def test_values_by_group():
    groups = {"a": [0, 2], "b": [1, 3]}
    scored = MetricResult("sharpness", "sharpness", "higher", "picture", None, 1.5, 0, 3, (0.0, 1.0, 2.0, 3.0))
    assert by_group(groups, scored) == {"a": [0.0, 2.0], "b": [1.0, 3.0]}
    whole = MetricResult("fid", "FID", "lower", "set", None, 1.5, 0, 3, (1.5,))
    with pytest.raises(LimnerError, match="tells nothing of single pictures"):
        by_group(groups, whole)
