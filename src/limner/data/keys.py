"""Hashes of keys: pseudo-random numbers that depend on a key and a seed, and a compact set of keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from limner.core.datasets import Entry, Fault, Skipped
from limner.core.files import quoted

_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_FRESH = 2**12


def key_hash(key: str) -> int:
    """A 64-bit hash of a key, the same on every machine: the first bytes of its BLAKE2b."""
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def seeded_numbers(hashes: np.ndarray, seed: int) -> np.ndarray:
    """Pseudo-random uint64 numbers (n,) from key hashes (n,) and a seed.

    What is drawn for an image depends on its key and the seed alone, not on the other images. The finaliser of
    SplitMix64 (Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195, figure 17) over both.
    """
    start = np.uint64((seed * _ODD[0] + _ODD[0]) % 2**64)
    mixed = np.asarray(hashes, dtype=np.uint64) + start
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_ODD[1])
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_ODD[2])
    return mixed ^ (mixed >> np.uint64(31))


def unique_entries(items: Iterable[Entry | Skipped]) -> Iterator[Entry | Skipped]:
    """The items of a source; an entry with the key of an earlier one is replaced by its fault."""
    seen = _KeySet()
    for item in items:
        if isinstance(item, Entry) and not seen.add(item.key):
            item = Skipped(item.key, Fault("stray", f"{quoted(item.key)} appears twice; the first one counts"))
        yield item


class _KeySet:
    """A set of keys in 8 bytes each: their hashes in a sorted array, and recent ones in a set."""

    def __init__(self) -> None:
        self._sorted = np.empty(0, dtype=np.uint64)
        self._fresh: set[int] = set()

    def add(self, key: str) -> bool:
        """Add a key; returns False if it was in the set."""
        number = key_hash(key)
        at = int(np.searchsorted(self._sorted, np.uint64(number)))
        if number in self._fresh or (at < len(self._sorted) and int(self._sorted[at]) == number):
            return False
        self._fresh.add(number)
        if len(self._fresh) > max(_FRESH, len(self._sorted) // 16):
            fresh = np.fromiter(self._fresh, dtype=np.uint64, count=len(self._fresh))
            self._sorted, self._fresh = np.union1d(self._sorted, fresh), set()
        return True
