"""Gaps between groups: none beyond chance for equal groups, and the worst group is named."""

from __future__ import annotations

import numpy as np
import pytest

from limner.core.errors import LimnerError
from limner.core.metrics import MetricResult
from limner.stats.group_fairness import GroupGap, GroupMean, group_confusion, group_gap, values_by_group
from limner.stats.intervals import wilson


def _drawn(seed: int, count: int = 30, **means: float) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(mean, 1, count).tolist() for name, mean in means.items()}


@pytest.mark.slow
def test_the_worst_group_is_named_and_the_interval_covers_the_truth():
    held = 0
    for seed in range(40):
        gap = group_gap("sharpness", _drawn(seed, corgi=5.0, poodle=4.9, husky=3.0))
        assert gap.worst == "husky" and gap.best in ("corgi", "poodle") and gap.p_value < 0.01
        assert [group.value for group in gap.groups] == ["corgi", "poodle", "husky"] and gap.groups[0].count == 30
        held += gap.low <= 2.0 <= gap.high
    assert held >= 33  # of 40, where 38 are to be expected


@pytest.mark.slow
def test_equal_groups_have_no_significant_gap():
    found = [group_gap("sharpness", _drawn(seed, a=1.0, b=1.0, c=1.0, d=1.0)) for seed in range(40)]
    assert sum(gap.p_value < 0.05 for gap in found) <= 6
    assert sum(gap.low == 0 for gap in found) >= 30


def test_the_best_is_the_lowest_where_lower_is_better():
    gap = group_gap("clipping", {"corgi": [1.0, 1.2, 0.9], "husky": [5.0, 5.5, 5.1]}, "lower")
    assert (gap.best, gap.worst) == ("corgi", "husky") and gap.gap == pytest.approx(5.2 - 3.1 / 3)


def test_equal_groups_have_no_gap():
    gap = group_gap("clipping", {"corgi": [1.0, 1.0], "husky": [1.0, 1.0]})
    assert (gap.gap, gap.low, gap.high, gap.p_value) == (0, 0, 0, 1)


def test_it_is_deterministic():
    values = _drawn(3, corgi=5.0, husky=4.0)
    assert group_gap("sharpness", values) == group_gap("sharpness", values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "only one group"),
        ({"corgi": [1.0, 2.0]}, "only one group"),
        ({"corgi": [1.0, 2.0], "husky": [1.0]}, "'husky' has fewer than two"),
        ({"corgi": [1.0, 2.0], "husky": [1.0, float("nan")]}, "not a finite number"),
    ],
)
def test_too_few_values_are_a_one_line_error(values, message):
    with pytest.raises(LimnerError, match=message):
        group_gap("sharpness", values)


def test_differences_between_prompts_are_not_noise_of_pairs():
    rng = np.random.default_rng(1)
    prompts = rng.normal(0, 10, 24)
    values = {"corgi": (prompts + rng.normal(0, 0.5, 24)).tolist(), "husky": (prompts + 1).tolist()}
    apart, paired = (group_gap("sharpness", values, paired=each) for each in (False, True))
    assert paired.gap == apart.gap and paired.worst == apart.worst == "corgi"
    assert paired.significant and paired.p_value < 0.01 and not apart.significant
    assert paired.low > 0 and paired.high - paired.low < 1 < apart.high - apart.low


def test_equal_pairs_have_no_significant_gap():
    found = [group_gap("sharpness", _drawn(seed, a=1.0, b=1.0, c=1.0), paired=True) for seed in range(60)]
    assert sum(gap.significant for gap in found) <= 8


@pytest.mark.parametrize(
    ("paired", "groups", "least"),
    [(True, {"a": 4, "b": 4}, 0.125), (True, {"a": 6, "b": 6}, 1 / 32), (True, {"a": 4, "b": 4, "c": 4}, 6 / 6**4)]
    + [(False, {"a": 2, "b": 2}, 2 / 6), (False, {"a": 4, "b": 4}, 2 / 70)],
)
def test_the_smallest_p_value_depends_on_the_group_sizes(paired, groups, least):
    gap = group_gap(
        "sharpness",
        {name: [number + 0.01 * i for i in range(count)] for number, (name, count) in enumerate(groups.items())},
        paired=paired,
    )
    assert gap.smallest_p_value == pytest.approx(least)
    assert gap.p_value == pytest.approx(least, abs=0.03), "these groups part as far as they can"
    assert gap.too_few == (least >= 0.05)


def test_values_by_group():
    groups = {"a": [0, 2], "b": [1, 3]}
    scored = MetricResult("sharpness", "sharpness", "higher", "picture", None, 1.5, 0, 3, (0.0, 1.0, 2.0, 3.0))
    assert values_by_group(groups, scored) == {"a": [0.0, 2.0], "b": [1.0, 3.0]}
    whole = MetricResult("fid", "FID", "lower", "set", None, 1.5, 0, 3, (1.5,))
    with pytest.raises(LimnerError, match="no values for single images"):
        values_by_group(groups, whole)


def test_without_a_better_direction_the_highest_is_best_and_that_is_kept():
    values = {"corgi": [1.0, 1.2, 0.9], "husky": [5.0, 5.5, 5.1]}
    for better in (None, "higher"):
        gap = group_gap("clipping", values, better)
        assert (gap.best, gap.worst, gap.better) == ("husky", "corgi", better)


def test_the_ends_of_an_interval_are_at_least_0():
    gap = group_gap("clipping", {"a": [0.0, 0.0, 0.0, 10.0], "b": [0.0, 0.0, 0.0, 9.0]})
    assert gap.gap == 0.25 and gap.low == 0.0 < gap.high


@pytest.mark.parametrize(("p_value", "smallest", "sure"), [(0.049, 0.001, True), (0.05, 0.049, False)])
def test_a_gap_is_reported_with_its_own_p_value(p_value, smallest, sure):
    mean = GroupMean("a", 3, 1.0, 0.5, 1.5)
    gap = GroupGap("clipping", (mean,), "a", "b", 2.0, 1.0, 3.0, p_value, smallest, "lower")
    values = gap.as_json()
    assert (values["chance"], values["least"], values["hardly_chance"]) == (p_value, smallest, sure)
    assert (values["gap"], values["low"], values["high"]) == (2.0, 1.0, 3.0)
    assert (
        values["groups"] == ({"value": "a", "count": 3, "mean": 1.0, "low": 0.5, "high": 1.5},)
        and not {"p_value", "smallest_p_value"} & values.keys()
    )
    assert gap.significant == sure and not gap.too_few
    assert GroupGap("clipping", (mean,), "a", "b", 2.0, 1.0, 3.0, 0.5, 0.05).too_few


def test_confusions_are_counted_in_pairs_and_reported_with_the_interval_of_all():
    sure, mistaken = [0.9, 0.1, 0.2], [0.1, 0.9, 0.2]
    similar = {
        "cat": np.array([mistaken] * 3 + [sure] * 5),
        "dog": np.array([[0.1, 0.9, 0.2]] * 8),
        "cow": np.array([[0.1, 0.2, 0.9]] * 8),
    }
    found = group_confusion("clip", similar)
    assert found.taken_for == {"cat": {"dog": 3, "cow": 0}, "dog": {"cat": 0, "cow": 0}, "cow": {"cat": 0, "dog": 0}}
    assert [found.most_taken_for(name) for name in similar] == ["dog", None, None]
    wrong = {"cat": [1.0] * 3 + [0.0] * 5, "dog": [0.0] * 8, "cow": [0.0] * 8}
    assert found.by_group.p_value == group_gap("mistaken", wrong, "lower", paired=True).p_value
    assert [(each.mean, each.low, each.high) for each in found.by_group.groups] == [wilson(3, 8)] + [wilson(0, 8)] * 2
    values, (share, low, high) = found.as_json(), wilson(3, 24)
    assert values["all"] == {"share": share, "low": low, "high": high} and values["low"] == found.by_group.low
    assert (values["encoder"], values["taken_for"]) == ("clip", found.taken_for)
    assert values["by_guessing"] == pytest.approx(2 / 3)
