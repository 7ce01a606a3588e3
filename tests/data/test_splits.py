"""Shares are exact, copies stay together, and a further image moves few others."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.data.diversity.splits import TEST, TRAIN, VALIDATION, apportion, assign_splits
from limner.data.keys import key_hash

SHARES = (0.8, 0.1, 0.1)


def keys(count):
    return np.array([key_hash(f"{i}.png") for i in range(count)], dtype=np.uint64)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4)), max_size=80),
    st.sampled_from([SHARES, (0.5, 0.25, 0.25), (1.0, 0.0, 0.0), (0.34, 0.33, 0.33), (0.7, 0.0, 0.3)]),
    st.integers(0, 3),
)
def test_copies_are_never_across(images, shares, seed):
    copies, strata = np.array(images, dtype=int).reshape(-1, 2).T
    found = assign_splits(keys(len(copies)), copies, strata, shares, seed)
    assert len(found) == len(copies)
    for group in set(copies.tolist()):
        assert len(set(found[copies == group].tolist())) == 1
    wanted = apportion(len(copies), shares)
    assert (found == VALIDATION).sum() <= wanted[1] + (shares[1] > 0) * 5 and (found == TEST).sum() <= wanted[2] + 5
    for part in (VALIDATION, TEST):
        assert shares[part] or not (found == part).any()


@given(st.lists(st.integers(2, 60), min_size=1, max_size=12), st.integers(0, 3))
def test_shares_are_right_to_the_picture(sizes, seed):
    strata = np.repeat(np.arange(len(sizes)), sizes)
    found = assign_splits(keys(len(strata)), np.arange(len(strata)), strata, SHARES, seed)
    assert np.bincount(found, minlength=3).tolist() == apportion(len(strata), SHARES)
    for stratum, size in enumerate(sizes):
        parts = np.bincount(found[strata == stratum], minlength=3)
        assert parts[TRAIN] >= 1
        for part in (VALIDATION, TEST):
            assert abs(parts[part] - size * SHARES[part]) < 1 + 1e-9


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 3))
def test_another_picture_moves_few_and_order_none(strata, seed):
    strata, count = np.array(strata), len(strata)
    before = assign_splits(keys(count), np.arange(count), strata, SHARES, seed)
    grown = np.append(strata, 3)
    after = assign_splits(keys(count + 1), np.arange(count + 1), grown, SHARES, seed)
    assert (before != after[:-1]).sum() <= 8
    order = np.random.default_rng(seed).permutation(count)
    assert (
        assign_splits(keys(count)[order], np.arange(count)[order], strata[order], SHARES, seed) == before[order]
    ).all()


@pytest.mark.parametrize("seed", range(5))
def test_what_is_left_over_goes_where_the_largest_remainder_is(seed):
    """A tenth of 19 is nearly two, and of 11 and 12 hardly more than one."""
    strata = np.repeat([0, 1, 2], [11, 19, 12])
    part = assign_splits(keys(42), np.arange(42), strata, (0.9, 0.1, 0.0), seed)
    assert [int((part[strata == stratum] == VALIDATION).sum()) for stratum in range(3)] == [1, 2, 1]


def test_another_picture_moves_one_or_two_in_the_mean():
    strata = np.random.default_rng(0).integers(0, 20, 2000)
    moved = []
    for last in range(1900, 2000):
        part = slice(0, last)
        before = assign_splits(keys(last), np.arange(last), strata[part], SHARES)
        after = assign_splits(keys(last + 1), np.arange(last + 1), strata[: last + 1], SHARES)
        moved.append(int((before != after[:-1]).sum()))
    assert np.mean(moved) < 3 and max(moved) <= 10


def test_more_validation_moves_no_test_picture():
    strata = np.zeros(200, dtype=int)
    first = assign_splits(keys(200), np.arange(200), strata, SHARES)
    second = assign_splits(keys(200), np.arange(200), strata, (0.6, 0.3, 0.1))
    assert ((first == TEST) == (second == TEST)).all()
    assert (first != assign_splits(keys(200), np.arange(200), strata, SHARES, seed=7)).any()


def test_small_and_empty_sets():
    assert not len(assign_splits(keys(0), np.empty(0, int), np.empty(0, int), SHARES))
    assert assign_splits(keys(1), np.zeros(1, int), np.zeros(1, int), (0.1, 0.0, 0.9)).tolist() == [TRAIN]
    assert (assign_splits(keys(9), np.zeros(9, int), np.arange(9), (0.5, 0.2, 0.3)) == TRAIN).all(), (
        "one group of copies"
    )
    alone = assign_splits(keys(30), np.arange(30), np.arange(30), SHARES)
    assert (alone == TRAIN).all(), "strata of one"
    many = assign_splits(keys(30), np.arange(30), np.arange(30) // 3, SHARES)
    assert np.bincount(many).tolist() == [24, 3, 3]
    pairs = assign_splits(keys(18), np.arange(18), np.arange(18) // 2, (1 / 3, 1 / 3, 1 / 3))
    assert np.bincount(pairs).tolist() == [9, 3, 6], "where one of two must train, the test has its share first"


@pytest.mark.parametrize(("total", "parts"), [(10, [8, 1, 1]), (11, [9, 1, 1]), (0, [0, 0, 0]), (5, [4, 1, 0])])
def test_largest_remainders(total, parts):
    assert apportion(total, SHARES) == parts


def test_keys_are_the_same_everywhere():
    assert key_hash("dog/01.jpg") == 0x3FA612CB3C6767A0
    assert key_hash("\udcff") != key_hash("?")


def test_a_quarter_of_a_million_takes_seconds():
    rng = np.random.default_rng(0)
    count = 250_000
    numbers = rng.integers(0, 2**63, count).astype(np.uint64)
    copies = np.where(rng.random(count) < 0.1, rng.integers(0, 20_000, count), np.arange(count) + count)
    begun = time.process_time()
    found = assign_splits(numbers, copies, rng.integers(0, 500, count), SHARES)
    assert time.process_time() - begun < 10
    assert np.abs(np.bincount(found) / count - SHARES).max() < 1e-3
