"""Each picture once: two entries of a source never share a key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from limner.core.datasets import Entry, Fault, Skipped
from limner.core.files import quoted

_FRESH = 2**12


def once(found: Iterable[Entry | Skipped]) -> Iterator[Entry | Skipped]:
    """What is found, with entries of a key that was there before told instead."""
    seen = _Seen()
    for each in found:
        if isinstance(each, Entry) and seen.before(each.key):
            each = Skipped(each.key, Fault("stray", f"{quoted(each.key)} is named twice; the first time counts"))
        yield each


class _Seen:
    """Texts that were met, in 8 bytes each: their hashes in order, and those of late in a set."""

    def __init__(self) -> None:
        self._sorted = np.empty(0, dtype=np.uint64)
        self._fresh: set[int] = set()

    def before(self, text: str) -> bool:
        """Whether a text was met before; from now on it was."""
        mark = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        at = int(np.searchsorted(self._sorted, np.uint64(mark)))
        if mark in self._fresh or (at < len(self._sorted) and int(self._sorted[at]) == mark):
            return True
        self._fresh.add(mark)
        if len(self._fresh) > max(_FRESH, len(self._sorted) // 16):
            fresh = np.fromiter(self._fresh, dtype=np.uint64, count=len(self._fresh))
            self._sorted, self._fresh = np.union1d(self._sorted, fresh), set()
        return False
