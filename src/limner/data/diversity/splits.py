"""Which pictures train, which validate and which test, without copies across and even in every stratum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from limner.data.keys import seeded_numbers

TRAIN, VALIDATION, TEST = 0, 1, 2


def assign_splits(
    keys: np.ndarray, copies: np.ndarray, strata: np.ndarray, shares: Sequence[float], seed: int = 42
) -> np.ndarray:
    """Of each picture 0, 1 or 2 for train, validation and test, (n,) in int8.

    keys: (n,) uint64 of `keyed.keyed`. copies: (n,) integers, the same for pictures that are near-copies of each
    other, which stay together. strata: (n,) integers, such as of a breed. shares: three numbers that add up to 1.

    Each stratum is cut in the order of its keys' draws: first the test, then the validation, the rest is for training.
    So another picture moves few, and another share of validation moves no picture of the test. The shares of all are
    right to the picture and those of a stratum within one, as far as single pictures are left to fill up beside groups
    of copies; a stratum keeps at least one picture or group for training, so that one of a single picture goes there.
    A group of copies counts for the stratum of that of its pictures that is drawn first.
    """
    if not len(keys):
        return np.empty(0, dtype=np.int8)
    draws = seeded_numbers(keys, seed)
    order = np.argsort(draws, kind="stable")
    _, first, unit, sizes = np.unique(
        np.asarray(copies)[order], return_index=True, return_inverse=True, return_counts=True
    )
    unit = unit.reshape(-1)
    rank = np.argsort(first)  # units in the order of their first pictures' draws
    _, stratum = np.unique(np.asarray(strata)[order][first], return_inverse=True)
    stratum = stratum.reshape(-1)
    quotas = _quotas(stratum[rank], sizes[rank], shares)
    parts = np.empty(len(sizes), dtype=np.int8)
    parts[rank] = _filled(stratum[rank], sizes[rank], quotas)
    found = np.empty(len(keys), dtype=np.int8)
    found[order] = parts[unit]
    return found


def apportion(total: int, shares: Sequence[float]) -> list[int]:
    """A number of pictures in parts, by largest remainders (Hamilton's method); earlier parts win ties."""
    exact = np.round(total * np.asarray(shares, dtype=np.float64) / sum(shares), 9)
    parts = np.floor(exact).astype(np.int64)
    for part in np.argsort(parts - exact, kind="stable")[: total - int(parts.sum())]:
        parts[part] += 1
    return parts.tolist()


def _quotas(stratum: np.ndarray, sizes: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """How many pictures of each stratum validate and test, (k, 2): whole parts first, then one each by remainders.

    stratum, sizes: of units in the order of their draws. Ties are broken by which stratum was drawn first.
    """
    pictures = np.bincount(stratum, weights=sizes).astype(np.int64)
    # What has to stay for training: the smallest unit.
    least = np.full(len(pictures), np.iinfo(np.int64).max)
    np.minimum.at(least, stratum, sizes)
    room = pictures - least
    drawn_at = np.unique(stratum, return_index=True)[1]
    wanted = apportion(int(pictures.sum()), shares)
    quotas = np.zeros((len(pictures), 2), dtype=np.int64)
    for column, part in ((1, TEST), (0, VALIDATION)):
        exact = np.round(pictures * shares[part], 9)
        free = room - quotas.sum(axis=1)
        given = np.minimum(np.floor(exact).astype(np.int64), free)
        by_remainder = np.lexsort((drawn_at, -(exact - given)))
        able = by_remainder[(free > given)[by_remainder] & (exact > given)[by_remainder]]
        given[able[: max(0, wanted[part] - int(given.sum()))]] += 1
        quotas[:, column] = given
    return quotas


def _filled(stratum: np.ndarray, sizes: np.ndarray, quotas: np.ndarray) -> np.ndarray:
    """The part of each unit: the test while it has room for all of it, then the validation, then training."""
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
