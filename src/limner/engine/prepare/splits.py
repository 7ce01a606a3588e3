"""Which pictures train, validate and test, and how much each counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limner.core.requests import PrepareRequest
from limner.data.diversity.balance import balance_weights, downsample
from limner.data.diversity.splits import TRAIN, assign_splits


@dataclass(frozen=True)
class Choice:
    """For each of n pictures. kept: whether it stays. part: 0, 1 or 2 for train, validation and test. weight: of it
    in training.
    """

    kept: np.ndarray
    part: np.ndarray
    weight: np.ndarray


def choose(
    keys: np.ndarray,
    family: np.ndarray,
    groups: np.ndarray,
    repeats: np.ndarray,
    sharpness: np.ndarray,
    request: PrepareRequest,
) -> Choice:
    """Split within groups, and then even out the groups of what trains.

    keys: (n,) as `data.keyed` makes them. family: (n,) the same for copies of each other. groups: (n,) numbers of the
    groups that shall be even. repeats: (n,) how often each is to be shown for once.
    """
    part = assign_splits(keys, family, groups, request.split.parts, request.seed)
    kept, weight = np.ones(len(keys), dtype=bool), repeats.astype(np.float64)
    training = np.flatnonzero(part == TRAIN)
    if request.balance == "sample":
        stays = training[downsample(groups[training], keys[training], request.seed, best=sharpness[training])]
        kept[np.setdiff1d(training, stays)] = False
    elif request.balance == "weights":
        weight[training] *= balance_weights(groups[training])
    return Choice(kept, part, weight)


def groups_of(values: Sequence[str]) -> np.ndarray:
    """A number for each different value, (n,)."""
    return np.unique(np.asarray(values, dtype=object).astype(str), return_inverse=True)[1].reshape(-1)
