"""Chance by key: what is drawn for a picture depends on its name and a seed alone, not on what lies beside it."""

from __future__ import annotations

import hashlib

import numpy as np

_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def key_hash(key: str) -> int:
    """A number of 64 bits for a key, the same on every machine: the head of its BLAKE2b."""
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def seeded_numbers(numbers: np.ndarray, seed: int) -> np.ndarray:
    """For numbers (n,) of `keyed`, others (n,) in uint64 that look random and that another seed changes.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195, figure 17) over both.
    """
    start = np.uint64((seed * _ODD[0] + _ODD[0]) % 2**64)
    mixed = np.asarray(numbers, dtype=np.uint64) + start
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_ODD[1])
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_ODD[2])
    return mixed ^ (mixed >> np.uint64(31))
