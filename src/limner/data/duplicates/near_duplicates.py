"""Finds near duplicates among images, by signatures and by an encoder's features, and groups them (union-find)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from limner.data.duplicates.signatures import (
    DIGEST,
    HASH_BITS,
    MIRRORED,
    ORIENTATIONS,
    UPRIGHT,
    Orientation,
    perceptual_hashes,
    similarity,
)

BANDS = 12
WINDOW = 128
"""Each image is compared with this many of its successors in each order of the hashes."""
MAX_BITS = 40
"""The most bits in which the hashes of near duplicates differ."""
MAX_MISSES = 256
"""After this many candidates that were no duplicates an image gets no further ones: among thousands with the same
layout, such as charts or icons, the time must not grow with their square."""
BLOCK = 1024
"""Signatures in memory at once."""
MIN_SIMILARITY = 0.95
"""The cosine of the features of two images from which on their signatures are compared."""

DuplicateKind = Literal["exact", "same", "mirrored", "turned", "cropped"]


@dataclass(frozen=True, slots=True, order=True)
class NearDuplicate:
    """Two images, by their indices, of which one is a copy of the other.

    similarity: 0 to 1. kind: "exact": the same pixels; "cropped": the second is a part of the first. For all other
    kinds first is less than second.
    """

    first: int
    second: int
    similarity: float
    kind: DuplicateKind


class UnionFind:
    """Groups of n items (union-find, Tarjan 1975); the root of a group is its least index."""

    def __init__(self, count: int) -> None:
        self.above = np.arange(count)

    def root(self, of: int) -> int:
        """The root of an item."""
        while self.above[of] != of:
            self.above[of] = self.above[self.above[of]]
            of = int(self.above[of])
        return of

    def join(self, one: int, other: int) -> bool:
        """Join the groups of two items; returns False if they were one group."""
        one, other = sorted((self.root(one), self.root(other)))
        self.above[other] = one
        return one != other

    def roots(self) -> np.ndarray:
        """The root of each item, (n,)."""
        while (further := self.above[self.above] != self.above).any():
            self.above[further] = self.above[self.above[further]]
        return self.above


def find_near_duplicates(signatures: np.ndarray, least: float) -> Iterator[NearDuplicate]:
    """The near duplicates among images by their signatures (n, 720), which may be a memory map.

    least: the `similarity` from which on two are duplicates. Of each group as many pairs are returned as connect it, in
    the order of `first`, `second`. At most BLOCK signatures are in memory at once; further memory is about 800 bytes
    per image.

    Candidates are near each other when the hashes are sorted, with their bits in another order each time (Charikar,
    STOC 2002, section 3), and `similarity` decides. Small sets are compared pair by pair.
    """
    exact, distinct = _exact(signatures)
    yield from sorted(exact + list(_near(signatures, distinct, least)))


def duplicate_groups(pairs: Iterable[NearDuplicate], count: int) -> np.ndarray:
    """The group of each of `count` images, (n,): the index of its first member."""
    groups = UnionFind(count)
    for pair in pairs:
        groups.join(pair.first, pair.second)
    return groups.roots()


def dropped_duplicates(family: np.ndarray, better: Callable[[int], Any]) -> dict[int, int]:
    """For each image to drop the one of its group to keep: the first with the greatest `better`.

    family: (n,) from `duplicate_groups`.
    """
    members: dict[int, list[int]] = {}
    for each in np.flatnonzero(np.bincount(family)[family] > 1).tolist():
        members.setdefault(int(family[each]), []).append(each)
    kept = {top: max(those, key=better) for top, those in members.items()}
    return {each: kept[top] for top, those in members.items() for each in those if each != kept[top]}


def _exact(signatures: np.ndarray) -> tuple[list[NearDuplicate], np.ndarray]:
    """Pairs with the same digest, and the indices of the images without these duplicates."""
    digests = np.empty((len(signatures), DIGEST.stop), dtype=np.uint8)
    for at in range(0, len(signatures), BLOCK):
        digests[at : at + BLOCK] = signatures[at : at + BLOCK, DIGEST]
    words = digests.view(np.uint64)
    order = np.lexsort((words[:, 1], words[:, 0]))  # stable: equal ones stay in their order
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (words[order[1:]] != words[order[:-1]]).any(axis=1)
    first = order[np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))]
    copies = zip(first[~fresh].tolist(), order[~fresh].tolist(), strict=True)
    return [NearDuplicate(one, other, 1.0, "exact") for one, other in copies], np.sort(order[fresh])


def _near(signatures: np.ndarray, distinct: np.ndarray, least: float) -> Iterator[NearDuplicate]:
    """Near duplicates among the images `distinct`."""
    known = _all_hashes(signatures, distinct)
    groups, missed = UnionFind(len(distinct)), np.zeros(len(distinct), dtype=np.int32)
    for rows, others in _candidates(known, groups):
        one, other, turn = _images_of(rows, others)
        new = np.minimum(missed[one], missed[other]) < MAX_MISSES
        one, other, turn = one[new], other[new], turn[new]
        found = np.empty(len(one))
        for number, each in enumerate(ORIENTATIONS):
            for part in _parts(np.flatnonzero(turn == number)):
                found[part] = similarity(signatures[distinct[one[part]]], signatures[distinct[other[part]]], each)
        np.add.at(missed, np.concatenate([one[found < least], other[found < least]]), 1)
        for at in np.flatnonzero(found >= least).tolist():
            if groups.join(int(one[at]), int(other[at])):
                first, second = sorted((int(distinct[one[at]]), int(distinct[other[at]])))
                yield NearDuplicate(first, second, float(found[at]), _kind(ORIENTATIONS[turn[at]]))


def _images_of(rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, images to turn onto them, and the number of the orientation, of pairs of rows of hashes.

    One of each pair is upright. The orientations of an image are consecutive rows.
    """
    count = len(ORIENTATIONS)
    turned = rows % count > 0
    one, other = np.where(turned, others, rows), np.where(turned, rows, others)
    return one // count, other // count, other % count


def _kind(orientation: Orientation) -> DuplicateKind:
    return "same" if orientation == UPRIGHT else "mirrored" if orientation == MIRRORED else "turned"


def _parts(numbers: np.ndarray) -> Iterator[np.ndarray]:
    return (numbers[at : at + BLOCK] for at in range(0, len(numbers), BLOCK))


def _all_hashes(signatures: np.ndarray, distinct: np.ndarray) -> np.ndarray:
    """The hashes (n * orientations, 2) in uint64 of each image in each orientation."""
    known = np.empty((len(distinct), len(ORIENTATIONS), 2), dtype=np.uint64)
    for at in range(0, len(distinct), BLOCK):
        known[at : at + BLOCK] = perceptual_hashes(signatures[distinct[at : at + BLOCK]])
    return known.reshape(-1, 2)


def _candidates(known: np.ndarray, groups: UnionFind) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows of similar hashes of images that are not in one group yet; one of each pair is upright."""
    count = len(known) // max(1, len(groups.above))
    width = max(0, int(np.ceil(np.log2(max(1, len(known) / WINDOW * 2)))))
    for band in range(BANDS if width else 1):
        keys = _keys(known, np.random.default_rng(band).permutation(HASH_BITS))
        order = np.argsort(keys, kind="stable")
        heads = keys[order] >> np.uint64(64 - width) if width else np.zeros(len(order), dtype=np.uint64)
        first, second = known[order].T.copy()
        images, upright = order // count, order % count == 0
        for step in range(1, WINDOW):
            at = np.flatnonzero(heads[step:] == heads[:-step])
            if not len(at):
                break
            at = at[upright[at] | upright[at + step]]
            bits = np.bitwise_count(first[at] ^ first[at + step])
            bits += np.bitwise_count(second[at] ^ second[at + step])
            at = at[bits <= MAX_BITS]
            roots = groups.roots()
            at = at[roots[images[at]] != roots[images[at + step]]]
            if len(at):
                yield order[at], order[at + step]


def _keys(known: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """The first 64 bits (n,) in uint64 of hashes with permuted bits."""
    keys = np.empty(len(known), dtype=np.uint64)
    for at in range(0, len(known), BLOCK):
        found = np.unpackbits(known[at : at + BLOCK].view(np.uint8), axis=1)[:, bits[:64]]
        keys[at : at + BLOCK] = np.ascontiguousarray(np.packbits(found, axis=1)).view(">u8")[:, 0]
    return keys


def nearest_neighbours(features: np.ndarray, least: float = MIN_SIMILARITY) -> Iterator[tuple[int, int]]:
    """Each image with its nearest one by features (n, d) of length 1, if their cosine is at least `least`.

    Sorted pairs in which the first is less than the second, each once. The features may be a memory map. The time grows
    with the square of n.
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
    """The nearest neighbours by an encoder's features that are near duplicates by their signatures (n, 720) too.

    Also mirrored ones. least: the `similarity` from which on two are duplicates. It finds what the hashes miss among
    images with the same layout.
    """
    pairs = np.array(list(nearest_neighbours(features)), dtype=np.int64).reshape(-1, 2)
    for at in range(0, len(pairs), BLOCK):
        part = pairs[at : at + BLOCK]
        one, other = signatures[part[:, 0]], signatures[part[:, 1]]
        same, mirrored = similarity(one, other, UPRIGHT), similarity(one, other, MIRRORED)
        for (first, second), plain, flipped in zip(part.tolist(), same.tolist(), mirrored.tolist(), strict=True):
            if max(plain, flipped) >= least:
                yield NearDuplicate(first, second, max(plain, flipped), "same" if plain >= flipped else "mirrored")
