"""Pictures of a pile that are copies of others in it, by their signatures."""

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
"""With how many of those that come next a picture is compared in each order of the hashes."""
FAR = 40
"""The most bits by which the hashes of near-copies differ."""
PATIENCE = 256
"""After so many that were none no further candidates are looked at for a picture: where thousands are laid out alike,
such as charts or icons, time shall not grow with their square.
"""
BLOCK = 1024
"""Signatures that are held in memory at once."""

DuplicateKind = Literal["exact", "same", "mirrored", "turned", "cropped"]


@dataclass(frozen=True, slots=True, order=True)
class NearDuplicate:
    """Two pictures, by their numbers, of which one is a copy of the other.

    likeness: 0 to 1. how: "exact" has the same pixels; "cropped": the second is a part of the first. Else first is
    less than second.
    """

    first: int
    second: int
    similarity: float
    how: DuplicateKind


class UnionFind:
    """Which of n things belong together (union by the least number, Tarjan 1975)."""

    def __init__(self, count: int) -> None:
        self.above = np.arange(count)

    def root(self, of: int) -> int:
        while self.above[of] != of:
            self.above[of] = self.above[self.above[of]]
            of = int(self.above[of])
        return of

    def join(self, one: int, other: int) -> bool:
        """Whether they were not together yet."""
        one, other = sorted((self.root(one), self.root(other)))
        self.above[other] = one
        return one != other

    def roots(self) -> np.ndarray:
        """The root of each, (n,)."""
        while (further := self.above[self.above] != self.above).any():
            self.above[further] = self.above[self.above[further]]
        return self.above


def find_near_duplicates(
    signatures: np.ndarray, least: float, ways: tuple[Orientation, ...] = ORIENTATIONS, block: int = BLOCK
) -> Iterator[NearDuplicate]:
    """Copies among pictures by their signatures (n, 720) from `signature`, which may lie in a file (np.memmap).

    least: the `likeness` from which on two are copies. ways: how a copy may be turned, among them `SAME`. Of every
    group of copies so many twins are told as join it, and no more; in the order of `first`, `second`. block: how many
    signatures are in memory at once, which changes nothing in the result. Besides these, memory holds some 800 bytes
    a picture for all ways.

    Candidates lie near each other when the hashes are sorted, by their bits in another order each time (Charikar,
    STOC 2002, section 3), and `likeness` decides. Few pictures are compared each with each.
    """
    assert ways[0] == UPRIGHT
    exact, alone = _exact(signatures, block)
    yield from sorted(exact + list(_near(signatures, alone, least, ways, block)))


def duplicate_groups(twins: Iterable[NearDuplicate], count: int) -> np.ndarray:
    """For each of `count` pictures the first of those that are copies of each other and of it, (n,)."""
    sets = UnionFind(count)
    for twin in twins:
        sets.join(twin.first, twin.second)
    return sets.roots()


def dropped_duplicates(family: np.ndarray, better: Callable[[int], Any]) -> dict[int, int]:
    """For each picture that is a copy the one that is kept of its group: where `better` is greatest, else the first.

    family: (n,) from `together`.
    """
    members: dict[int, list[int]] = {}
    for each in np.flatnonzero(np.bincount(family)[family] > 1).tolist():
        members.setdefault(int(family[each]), []).append(each)
    kept = {top: max(those, key=better) for top, those in members.items()}
    return {each: kept[top] for top, those in members.items() for each in those if each != kept[top]}


def _exact(signatures: np.ndarray, block: int) -> tuple[list[NearDuplicate], np.ndarray]:
    """Twins with the same digest, and the numbers of those that are left without them."""
    digests = np.empty((len(signatures), DIGEST.stop), dtype=np.uint8)
    for at in range(0, len(signatures), block):
        digests[at : at + block] = signatures[at : at + block, DIGEST]
    words = digests.view(np.uint64)
    order = np.lexsort((words[:, 1], words[:, 0]))  # stable: of equal ones the first comes first
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (words[order[1:]] != words[order[:-1]]).any(axis=1)
    first = order[np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))]
    copies = zip(first[~fresh].tolist(), order[~fresh].tolist(), strict=True)
    return [NearDuplicate(one, other, 1.0, "exact") for one, other in copies], np.sort(order[fresh])


def _near(
    signatures: np.ndarray, alone: np.ndarray, least: float, ways: tuple[Orientation, ...], block: int
) -> Iterator[NearDuplicate]:
    """Twins among the pictures `alone`."""
    known = _all_hashes(signatures, alone, ways, block)
    sets, missed = UnionFind(len(alone)), np.zeros(len(alone), dtype=np.int32)
    for rows, others in _candidates(known, sets):
        one, other, way = _laid(rows, others, len(ways))
        new = np.minimum(missed[one], missed[other]) < PATIENCE
        one, other, way = one[new], other[new], way[new]
        found = np.empty(len(one))
        for number, each in enumerate(ways):
            for part in _parts(np.flatnonzero(way == number), block):
                found[part] = similarity(signatures[alone[one[part]]], signatures[alone[other[part]]], each)
        np.add.at(missed, np.concatenate([one[found < least], other[found < least]]), 1)
        for at in np.flatnonzero(found >= least).tolist():
            if sets.join(int(one[at]), int(other[at])):
                first, second = sorted((int(alone[one[at]]), int(alone[other[at]])))
                yield NearDuplicate(first, second, float(found[at]), _how(ways[way[at]]))


def _laid(rows: np.ndarray, others: np.ndarray, ways: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures, those that are laid on them, and the number of the way, of rows of hashes one of which is plain."""
    turned = rows % ways > 0
    one, other = np.where(turned, others, rows), np.where(turned, rows, others)
    return one // ways, other // ways, other % ways


def _how(way: Orientation) -> DuplicateKind:
    return "same" if way == UPRIGHT else "mirrored" if way == MIRRORED else "turned"


def _parts(numbers: np.ndarray, block: int) -> Iterator[np.ndarray]:
    return (numbers[at : at + block] for at in range(0, len(numbers), block))


def _all_hashes(signatures: np.ndarray, alone: np.ndarray, ways: tuple[Orientation, ...], block: int) -> np.ndarray:
    """(n * ways, 2) in uint64: each picture in each way."""
    known = np.empty((len(alone), len(ways), 2), dtype=np.uint64)
    for at in range(0, len(alone), block):
        known[at : at + block] = perceptual_hashes(signatures[alone[at : at + block]], ways)
    return known.reshape(-1, 2)


def _candidates(known: np.ndarray, sets: UnionFind) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of hashes, and others, that are near to each other and not together yet; one of the two is not turned."""
    ways = len(known) // max(1, len(sets.above))
    width = max(0, int(np.ceil(np.log2(max(1, len(known) / WINDOW * 2)))))
    for band in range(BANDS if width else 1):
        keys = _keys(known, np.random.default_rng(band).permutation(HASH_BITS))
        order = np.argsort(keys, kind="stable")
        heads = keys[order] >> np.uint64(64 - width) if width else np.zeros(len(order), dtype=np.uint64)
        first, second = known[order].T.copy()
        pictures, plain = order // ways, order % ways == 0
        for step in range(1, WINDOW):
            at = np.flatnonzero(heads[step:] == heads[:-step])
            if not len(at):
                break
            at = at[plain[at] | plain[at + step]]
            bits = np.bitwise_count(first[at] ^ first[at + step])
            bits += np.bitwise_count(second[at] ^ second[at + step])
            at = at[bits <= FAR]
            roots = sets.roots()
            at = at[roots[pictures[at]] != roots[pictures[at + step]]]
            if len(at):
                yield order[at], order[at + step]


def _keys(known: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """The first 64 bits (n,) in uint64 of hashes whose bits are in another order."""
    keys = np.empty(len(known), dtype=np.uint64)
    for at in range(0, len(known), BLOCK):
        found = np.unpackbits(known[at : at + BLOCK].view(np.uint8), axis=1)[:, bits[:64]]
        keys[at : at + BLOCK] = np.ascontiguousarray(np.packbits(found, axis=1)).view(">u8")[:, 0]
    return keys
