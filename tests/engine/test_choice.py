"""Choosing pictures: near duplicates stay in one part, and balancing touches nothing but what trains."""

from __future__ import annotations

import numpy as np
import pytest

from limner.core.requests import PrepareRequest
from limner.data.diversity.splits import TEST, TRAIN, VALIDATION
from limner.data.keys import key_hash
from limner.engine.prepare.splits import Choice, choose, groups_of

COUNT = 60


def chosen(
    family: object = None,
    groups: object = None,
    repeats: object = None,
    sharpness: object = None,
    count: int = COUNT,
    **asked: object,
) -> Choice:
    request = PrepareRequest.model_validate({"sources": ["x"], **asked})
    keys = np.array([key_hash(f"{number}.png") for number in range(count)], dtype=np.uint64)
    return choose(
        keys,
        np.arange(count) if family is None else np.asarray(family),
        np.zeros(count, dtype=int) if groups is None else np.asarray(groups),
        np.ones(count) if repeats is None else np.asarray(repeats),
        np.zeros(count) if sharpness is None else np.asarray(sharpness, dtype=float),
        request,
    )


@pytest.mark.parametrize("seed", range(5))
def test_near_duplicates_are_never_in_two_parts(seed: int) -> None:
    family = np.arange(COUNT) // 3 * 3
    part = chosen(family, split="60/20/20", seed=seed).part
    assert [len(set(part[family == first].tolist())) for first in range(0, COUNT, 3)] == [1] * 20
    assert np.bincount(part, minlength=3).tolist() == [36, 12, 12]


def test_a_sample_keeps_the_sharpest_of_each_group() -> None:
    sharpness = [5, 1, 9, 7, 3, 8, 2, 6, 1, 2, 3, 4]
    choice = chosen(groups=[0] * 8 + [1] * 4, sharpness=sharpness, count=12, balance="sample")
    assert np.flatnonzero(choice.kept).tolist() == [2, 3, 5, 7, 8, 9, 10, 11]
    assert choice.weight.tolist() == [1.0] * 12


def test_weights_multiply_the_repeats() -> None:
    choice = chosen(groups=[0, 0, 0, 1], repeats=[3, 1, 1, 1], count=4, balance="weights")
    assert choice.weight.tolist() == pytest.approx([3 * 2 / 3, 2 / 3, 2 / 3, 2])
    assert choice.kept.all()


@pytest.mark.parametrize("balance", ["off", "sample", "weights"])
def test_balancing_leaves_validation_and_test_as_they_are(balance: str) -> None:
    groups = np.arange(COUNT) % 6 == 0
    choice = chosen(groups=groups, split="50/25/25", balance=balance)
    aside = choice.part != TRAIN
    assert np.bincount(choice.part).tolist() == [30, 15, 15] and {VALIDATION, TEST} <= set(choice.part.tolist())
    assert choice.kept[aside].all() and (choice.weight[aside] == 1).all()
    assert (not choice.kept.all()) == (balance == "sample") and (choice.weight != 1).any() == (balance == "weights")
    training = np.bincount(groups[~aside])
    if balance == "sample":
        assert np.bincount(groups[~aside & choice.kept]).tolist() == [training.min()] * 2
    if balance == "weights":
        shares = [choice.weight[~aside & (groups == group)].sum() for group in (False, True)]
        assert shares == pytest.approx([15, 15])


def test_each_value_has_a_number() -> None:
    assert groups_of(["b", "a", "b", "10"]).tolist() == [2, 1, 2, 0]
