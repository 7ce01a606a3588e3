"""Assigns the images of a dataset to train, validation and test, and balances the training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limner.core.requests import PrepareRequest
from limner.data.diversity.balance import balance_weights, downsample
from limner.data.diversity.splits import TRAIN, assign_splits


@dataclass(frozen=True)
class Splits:
    """For each of n images: whether it is kept, its split (0, 1 or 2 for train, validation and test), and its
    weight.
    """

    kept: np.ndarray
    part: np.ndarray
    weight: np.ndarray


def choose_splits(
    keys: np.ndarray,
    family: np.ndarray,
    groups: np.ndarray,
    repeats: np.ndarray,
    sharpness: np.ndarray,
    request: PrepareRequest,
) -> Splits:
    """Split within groups, and then balance the groups of the training images.

    keys: (n,) hashes of `data.keys.key_hash`. family: (n,) a number that copies of an image share. groups:
    (n,) numbers of the groups to balance. repeats: (n,) how often each image is to be used.
    """
    part = assign_splits(keys, family, groups, request.split.parts, request.seed)
    kept, weight = np.ones(len(keys), dtype=bool), repeats.astype(np.float64)
    training = np.flatnonzero(part == TRAIN)
    if request.balance == "sample":
        stays = training[downsample(groups[training], keys[training], request.seed, best=sharpness[training])]
        kept[np.setdiff1d(training, stays)] = False
    elif request.balance == "weights":
        weight[training] *= balance_weights(groups[training])
    return Splits(kept, part, weight)


def group_numbers(values: Sequence[str]) -> np.ndarray:
    """A number for each distinct value, (n,)."""
    return np.unique(np.asarray(values, dtype=object).astype(str), return_inverse=True)[1].reshape(-1)
