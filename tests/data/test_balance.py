"""Counts are exact, and balancing gives all groups the same weight."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.data.diversity import balance
from limner.data.diversity.balance import NONE, FieldCounts, ValueCounts, balance_weights, downsample, joint_group
from limner.data.keys import key_hash


def keys_of(names):
    return np.array([key_hash(name) for name in names], dtype=np.uint64)


def counted(values, name="breed"):
    counts = FieldCounts()
    for value in values:
        counts.add({name: value})
    return counts


@given(st.lists(st.sampled_from(["corgi", "husky", "", None, "poodle"])))
def test_every_picture_is_in_one_row(values):
    table = counted(values).tables().get("breed")
    truth = Counter(value or NONE for value in values)
    if set(truth) <= {NONE}:
        assert table is None, "a field that no picture has is no field"
    else:
        assert table is not None and dict(table.rows) == truth and table.total == len(values)
        assert sum(table.shares) == pytest.approx(1)
        assert [count for _, count in table.rows] == sorted(truth.values(), reverse=True)


def test_free_text_and_hostile_tables_are_bounded():
    assert counted(map(str, range(balance.MOST_VALUES))).tables()
    counts = counted(map(str, range(balance.MOST_VALUES + 5)))
    assert counts.free == {"breed"} and not counts.tables()
    assert counted(["x" * (balance.LONGEST + 1)]).free == {"breed"}
    counts = FieldCounts()
    counts.add({f"field {i}": "x" for i in range(balance.MOST_FIELDS + 7)})
    assert len(counts.tables()) == balance.MOST_FIELDS and counts.left == 7


def test_evenness_of_known_tables():
    even = ValueCounts("f", (("a", 5), ("b", 5), ("c", 5), ("d", 5)))
    assert even.effective == pytest.approx(4) and even.evenness == pytest.approx(1) and even.ratio == 1
    assert not even.over
    skewed = ValueCounts("f", (("a", 97), ("b", 1), ("c", 1), ("d", 1)))
    assert skewed.effective < 1.25 and skewed.evenness < 0.15 and skewed.ratio == 97
    assert skewed.over == (("a", 97),)
    alone = ValueCounts("f", (("a", 3),))
    assert alone.effective == pytest.approx(1) and alone.evenness == 1 and not alone.over
    assert ValueCounts("f", ()).effective == 0 and ValueCounts("f", ()).ratio == 1
    assert not ValueCounts("f", (("a", 3), ("b", 1))).over, "four pictures are chance"


@pytest.mark.parametrize(("first", "second", "over"), [(75, 25, True), (74, 26, False), (14, 2, True), (13, 3, False)])
def test_a_group_is_over_half_as_much_again_and_beyond_three_deviations(first, second, over):
    """Of 100, a half is 50 and half as much again 75; of 16, three deviations of an equal draw are 3 x 2 above 8."""
    assert bool(ValueCounts("f", (("a", first), ("b", second))).over) == over


def test_evenness_is_the_entropy_over_its_greatest():
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    table = ValueCounts("f", (("a", 3), ("b", 1)))
    assert table.evenness == pytest.approx(entropy / np.log(2)) and table.effective == pytest.approx(np.exp(entropy))


def test_equal_draws_are_seldom_called_uneven():
    rng = np.random.default_rng(0)
    cried = sum(bool(counted(rng.integers(0, 10, 100).astype(str)).tables()["breed"].over) for _ in range(300))
    assert cried <= 15


@given(st.lists(st.sampled_from("abcdef"), min_size=1))
def test_weights_give_every_group_the_same(groups):
    found = balance_weights(groups)
    assert found.mean() == pytest.approx(1)
    sums = [found[np.array(groups) == name].sum() for name in set(groups)]
    assert sums == pytest.approx([len(groups) / len(set(groups))] * len(sums))


@given(st.lists(st.sampled_from("abc"), min_size=1), st.integers(0, 5), st.sampled_from([1.0, 1.5, 2.0]))
def test_a_sample_cuts_to_the_smallest(groups, seed, most):
    keys = keys_of(map(str, range(len(groups))))
    kept = downsample(groups, keys, seed, most)
    counts, left = Counter(groups), Counter(np.array(groups)[kept].tolist())
    cap = int(most * min(counts.values()))
    assert left == {name: min(count, cap) for name, count in counts.items()}
    assert kept.tolist() == sorted(set(kept.tolist())) == downsample(groups, keys, seed, most).tolist()


def test_a_sample_keeps_the_best_first_and_seeds_differ():
    groups, keys = ["a"] * 50 + ["b"] * 5, keys_of(map(str, range(55)))
    assert downsample(groups, keys, 0, best=np.arange(55)).tolist() == [*range(45, 50), *range(50, 55)]
    assert downsample(groups, keys, 0).tolist() != downsample(groups, keys, 1).tolist()
    order = np.random.default_rng(0).permutation(55)
    moved = downsample(np.array(groups)[order], keys[order], 0)
    assert set(order[moved].tolist()) == set(downsample(groups, keys, 0).tolist()), "the order of pictures says nothing"


def test_joint_groups_and_nothing():
    assert joint_group({"industry": "food", "style": ""}, ("industry", "style", "x")) == f"food / {NONE} / {NONE}"
    assert not len(balance_weights([])) and not len(downsample([], keys_of([]), 0))
    assert balance_weights(["a"]).tolist() == [1] and downsample(["a"], keys_of("k"), 0).tolist() == [0]
