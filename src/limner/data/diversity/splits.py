"""Assigns images to train, validation and test: near duplicates together, and stratified."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from limner.data.keys import seeded_numbers

TRAIN, VALIDATION, TEST = 0, 1, 2


def assign_splits(
    keys: np.ndarray, copies: np.ndarray, strata: np.ndarray, shares: Sequence[float], seed: int = 42
) -> np.ndarray:
    """The split of each image, (n,) in int8: 0 train, 1 validation, 2 test.

    keys: (n,) uint64 of `key_hash`. copies: (n,) integers, equal for near duplicates, which stay together. strata: (n,)
    integers, such as of a breed. shares: of train, validation and test; they add up to 1.

    Each stratum is divided in a pseudo-random order of its keys: first the test, then the validation, the rest is for
    training. So a further image moves few others, and another share of validation moves no image of the test. The
    shares of all images are exact and those of a stratum within one image, as far as single images are left to fill up
    next to groups of duplicates. Each stratum keeps at least one image or group for training. A group counts for the
    stratum of its first image in that order.
    """
    if not len(keys):
        return np.empty(0, dtype=np.int8)
    draws = seeded_numbers(keys, seed)
    order = np.argsort(draws, kind="stable")
    _, first, unit, sizes = np.unique(
        np.asarray(copies)[order], return_index=True, return_inverse=True, return_counts=True
    )
    unit = unit.reshape(-1)
    rank = np.argsort(first)  # units in the order of their first images
    _, stratum = np.unique(np.asarray(strata)[order][first], return_inverse=True)
    stratum = stratum.reshape(-1)
    quotas = _quotas(stratum[rank], sizes[rank], shares)
    parts = np.empty(len(sizes), dtype=np.int8)
    parts[rank] = _fill(stratum[rank], sizes[rank], quotas)
    found = np.empty(len(keys), dtype=np.int8)
    found[order] = parts[unit]
    return found


def apportion(total: int, shares: Sequence[float]) -> list[int]:
    """A total divided into integer parts by largest remainders (Hamilton's method); earlier parts win ties."""
    exact = np.round(total * np.asarray(shares, dtype=np.float64) / sum(shares), 9)
    parts = np.floor(exact).astype(np.int64)
    for part in np.argsort(parts - exact, kind="stable")[: total - int(parts.sum())]:
        parts[part] += 1
    return parts.tolist()


def _quotas(stratum: np.ndarray, sizes: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """The number of images of each stratum for validation and test, (k, 2): whole parts, then one each by remainders.

    stratum, sizes: of units in their pseudo-random order. Ties go to the stratum that comes first in it.
    """
    images = np.bincount(stratum, weights=sizes).astype(np.int64)
    # The smallest unit has to stay for training.
    least = np.full(len(images), np.iinfo(np.int64).max)
    np.minimum.at(least, stratum, sizes)
    room = images - least
    drawn_at = np.unique(stratum, return_index=True)[1]
    wanted = apportion(int(images.sum()), shares)
    quotas = np.zeros((len(images), 2), dtype=np.int64)
    for column, part in ((1, TEST), (0, VALIDATION)):
        exact = np.round(images * shares[part], 9)
        free = room - quotas.sum(axis=1)
        given = np.minimum(np.floor(exact).astype(np.int64), free)
        by_remainder = np.lexsort((drawn_at, -(exact - given)))
        able = by_remainder[(free > given)[by_remainder] & (exact > given)[by_remainder]]
        given[able[: max(0, wanted[part] - int(given.sum()))]] += 1
        quotas[:, column] = given
    return quotas


def _fill(stratum: np.ndarray, sizes: np.ndarray, quotas: np.ndarray) -> np.ndarray:
    """The split of each unit: the test while all of it fits, then the validation, then training."""
    validation, test = quotas.T.tolist()
    parts = np.zeros(len(sizes), dtype=np.int8)
    for at, (group, size) in enumerate(zip(stratum.tolist(), sizes.tolist(), strict=True)):
        if size <= test[group]:
            test[group] -= size
            parts[at] = TEST
        elif size <= validation[group]:
            validation[group] -= size
            parts[at] = VALIDATION
    return parts
