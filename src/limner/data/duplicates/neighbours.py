"""Pictures that an encoder takes for nearly the same, and whether they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from limner.data.duplicates.near_duplicates import NearDuplicate
from limner.data.duplicates.signatures import MIRRORED, UPRIGHT, similarity

ALIKE = 0.95
"""The cosine of two pictures' features from which on they are looked at again."""
BLOCK = 1024


def nearest_neighbours(features: np.ndarray, least: float = ALIKE) -> Iterator[tuple[int, int]]:
    """Each picture with its nearest one by features (n, d) of length 1, which may lie in a file, where their cosine is
    at least `least`: pairs in which the first is less than the second, each once. The time grows with the square of n.
    """
    found: set[tuple[int, int]] = set()
    for at in range(0, len(features), BLOCK):
        rows = np.asarray(features[at : at + BLOCK], dtype=np.float32)
        best, other = np.full(len(rows), -1.0, dtype=np.float32), np.zeros(len(rows), dtype=np.int64)
        for beside in range(0, len(features), BLOCK):
            alike = rows @ np.asarray(features[beside : beside + BLOCK], dtype=np.float32).T
            if beside == at:
                np.fill_diagonal(alike, -1)
            nearest = alike.argmax(axis=1)
            values = alike[np.arange(len(rows)), nearest]
            better = values > best
            best[better], other[better] = values[better], beside + nearest[better]
        found |= {(min(at + row, to), max(at + row, to)) for row, to in enumerate(other.tolist()) if best[row] >= least}
    yield from sorted(found)


def confirmed_neighbours(features: np.ndarray, signatures: np.ndarray, least: float) -> Iterator[NearDuplicate]:
    """Of neighbours in an encoder's eyes those that are copies by their signatures (n, 720) too, mirrored or not.

    least: the `likeness` from which on two are copies. It finds what the hashes miss among pictures laid out alike.
    """
    pairs = np.array(list(nearest_neighbours(features)), dtype=np.int64).reshape(-1, 2)
    for at in range(0, len(pairs), BLOCK):
        part = pairs[at : at + BLOCK]
        one, other = signatures[part[:, 0]], signatures[part[:, 1]]
        same, mirrored = similarity(one, other, UPRIGHT), similarity(one, other, MIRRORED)
        for (first, second), plain, turned in zip(part.tolist(), same.tolist(), mirrored.tolist(), strict=True):
            if max(plain, turned) >= least:
                yield NearDuplicate(first, second, max(plain, turned), "same" if plain >= turned else "mirrored")
