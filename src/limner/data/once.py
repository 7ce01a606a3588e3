"""Each picture once: two entries of a source never share a key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from ..core.datasets import Entry, Fault, Lost
from .files import shown


def once(found: Iterable[Entry | Lost]) -> Iterator[Entry | Lost]:
    """What is found, with entries of a key that was there before told instead. Keeps 8 bytes of hash of each key."""
    seen: set[int] = set()
    for each in found:
        if isinstance(each, Entry):
            mark = int.from_bytes(hashlib.blake2b(each.key.encode("utf-8", "surrogatepass"), digest_size=8).digest())
            if mark in seen:
                yield Lost(each.key, Fault("stray", f"{shown(each.key)} is named twice; the first time counts"))
                continue
            seen.add(mark)
        yield each
