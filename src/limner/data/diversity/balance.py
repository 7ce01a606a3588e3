"""Counts the values of fields in a dataset, and balances over-represented ones by weights or downsampling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from limner.data.keys import seeded_numbers

NONE = "(none)"
"""The group of images without a value in a field."""
MOST_VALUES = 1_000
"""A field with more values than this is free text: its table would be unreadable and unbounded in memory."""
MOST_FIELDS = 200
"""Further fields, by first appearance, are not counted, so that a hostile table cannot fill the memory."""
LONGEST = 200
"""The longest value in characters; a longer one makes its field free text."""
OVER = 1.5
"""A group with this many times its equal share is over-represented: of two groups, one with three quarters."""
CHANCE = 3.0
"""It must also exceed its equal share by this many standard deviations of random draws, for small datasets."""
BETWEEN = " / "
"""Separator of the values of a joint group."""


@dataclass(frozen=True, slots=True)
class ValueCounts:
    """The number of images with each value of a field. rows: value and count, by frequency, then by name."""

    field: str
    rows: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.rows)

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of each row, 0 to 1."""
        return tuple(count / self.total for _, count in self.rows)

    @property
    def entropy(self) -> float:
        """Shannon entropy, in nats."""
        shares = np.array(self.shares)
        return float(-(shares * np.log(shares)).sum()) if len(shares) else 0.0

    @property
    def effective(self) -> float:
        """The number of equal groups with this diversity: Hill number of order 1 (Hill 1973, doi 10.2307/1934352)."""
        return float(np.exp(self.entropy)) if self.rows else 0.0

    @property
    def evenness(self) -> float:
        """Entropy over its maximum, from 0 to 1 where all groups are equal (Pielou 1966); 1 for a single group."""
        return self.entropy / float(np.log(len(self.rows))) if len(self.rows) > 1 else 1.0

    @property
    def ratio(self) -> float:
        """The largest group over the smallest."""
        return self.rows[0][1] / self.rows[-1][1] if self.rows else 1.0

    @property
    def over(self) -> tuple[tuple[str, int], ...]:
        """The over-represented rows: `OVER` times an equal share, and more than by chance."""
        groups, total = len(self.rows), self.total
        if groups < 2:
            return ()
        equal = total / groups
        least = max(OVER * equal, equal + CHANCE * (equal * (1 - 1 / groups)) ** 0.5)
        return tuple((value, count) for value, count in self.rows if count >= least)


@dataclass
class FieldCounts:
    """Counts of values, image by image. Memory is bounded by `MOST_FIELDS` and `MOST_VALUES`.

    images: their number. free: fields with too many or too long values, which have no table. left: the number of
    ignored fields, counted per image.
    """

    images: int = 0
    free: set[str] = field(default_factory=set[str])
    left: int = 0
    _fields: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])

    def add(self, fields: Mapping[str, str | None]) -> None:
        """Count the values of one image; an empty value is none."""
        self.images += 1
        for name, value in fields.items():
            if value and name not in self.free:
                self._count(name, value)

    def _count(self, name: str, value: str) -> None:
        if name not in self._fields and len(self._fields) + len(self.free) >= MOST_FIELDS:
            self.left += 1
            return
        counter = self._fields.setdefault(name, Counter())
        counter[value] += 1
        if len(counter) > MOST_VALUES or len(value) > LONGEST:
            self.free.add(name)
            del self._fields[name]

    def tables(self) -> dict[str, ValueCounts]:
        """The counts of each field by its name, in order of appearance; images without a value are `NONE`."""
        return {name: self._table(name, counter) for name, counter in self._fields.items()}

    def _table(self, name: str, counter: Counter[str]) -> ValueCounts:
        counts = dict(counter)
        if missing := self.images - sum(counter.values()):
            counts[NONE] = counts.get(NONE, 0) + missing
        return ValueCounts(name, tuple(sorted(counts.items(), key=lambda row: (-row[1], row[0]))))


def joint_group(fields: Mapping[str, str | None], by: Sequence[str]) -> str:
    """The group of an image by several fields: "food / poster"; `NONE` for a missing value."""
    return BETWEEN.join(fields.get(name) or NONE for name in by)


def _group_codes(groups: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The group number of each image (n,), and the size of each group (k,)."""
    _, codes, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return codes.reshape(-1), counts


def balance_weights(groups: Sequence[str] | np.ndarray) -> np.ndarray:
    """The weight of each image (n,) in fp64: all groups have the same total, and the mean is 1."""
    if not len(groups):
        return np.empty(0)
    codes, counts = _group_codes(groups)
    return len(codes) / (len(counts) * counts[codes].astype(np.float64))


def downsample(
    groups: Sequence[str] | np.ndarray,
    keys: np.ndarray,
    seed: int,
    most: float = 1.0,
    best: np.ndarray | None = None,
) -> np.ndarray:
    """The indices of the images that stay if each group is cut to `most` times the smallest one, ascending.

    keys: (n,) uint64 of `key_hash`; the selection depends on them and the seed, so that a further image changes little.
    best: (n,) numbers; the greatest stay first. most: at least 1.
    """
    if not len(groups):
        return np.empty(0, dtype=np.int64)
    assert most >= 1, "a group cannot be smaller than the smallest"
    codes, counts = _group_codes(groups)
    rank = np.zeros(len(codes)) if best is None else -np.asarray(best, dtype=np.float64)
    order = np.lexsort((seeded_numbers(keys, seed), rank, codes))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    within = np.arange(len(codes)) - starts[codes[order]]
    return np.sort(order[within < int(most * counts.min())])
