"""How often each value of each field is in a dataset, and how over-represented ones are evened out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from limner.data.keys import seeded_numbers

NONE = "(none)"
"""The group of the pictures that have no value in a field."""
MOST_VALUES = 1_000
"""A field of more values than this is free text: no table of it can be read, and its memory would have no bound."""
MOST_FIELDS = 200
"""Fields beyond these, by first appearance, are not counted, so that a hostile table cannot fill the memory."""
LONGEST = 200
"""Characters; a longer value makes its field free text."""
OVER = 1.5
"""Times its equal share from which on a group is over-represented: with two groups, three quarters of all."""
CHANCE = 3.0
"""Standard deviations of an equal draw that it must lie above besides, so that few pictures do not cry wolf."""
BETWEEN = " / "
"""Between the values of a joint group."""


@dataclass(frozen=True, slots=True)
class ValueCounts:
    """How many pictures have each value of a field. rows: value and count, the most frequent first, then by name."""

    field: str
    rows: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.rows)

    @property
    def shares(self) -> tuple[float, ...]:
        """Of each row, from 0 to 1."""
        return tuple(count / self.total for _, count in self.rows)

    @property
    def entropy(self) -> float:
        """Of Shannon, in nats."""
        shares = np.array(self.shares)
        return float(-(shares * np.log(shares)).sum()) if len(shares) else 0.0

    @property
    def effective(self) -> float:
        """How many equal groups would be as diverse: the Hill number of order 1, exp of the entropy (Hill 1973,
        doi 10.2307/1934352).
        """
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
        """The rows that are over-represented: `OVER` times an equal share, and more than chance would give."""
        groups, total = len(self.rows), self.total
        if groups < 2:
            return ()
        equal = total / groups
        least = max(OVER * equal, equal + CHANCE * (equal * (1 - 1 / groups)) ** 0.5)
        return tuple((value, count) for value, count in self.rows if count >= least)


@dataclass
class FieldCounts:
    """Counts values as pictures come. Memory is bounded by `MOST_FIELDS` and `MOST_VALUES`.

    pictures: how many there were. free: fields of too many or too long values, which have no table. left: how many
    fields, with repetition, were beyond `MOST_FIELDS`.
    """

    pictures: int = 0
    free: set[str] = field(default_factory=set[str])
    left: int = 0
    _fields: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])

    def add(self, fields: Mapping[str, str | None]) -> None:
        """Count the values of one picture; an empty value is none."""
        self.pictures += 1
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
        """The table of each field by its name, in order of appearance; pictures without a value are `NONE`."""
        return {name: self._table(name, counter) for name, counter in self._fields.items()}

    def _table(self, name: str, counter: Counter[str]) -> ValueCounts:
        counts = dict(counter)
        if missing := self.pictures - sum(counter.values()):
            counts[NONE] = counts.get(NONE, 0) + missing
        return ValueCounts(name, tuple(sorted(counts.items(), key=lambda row: (-row[1], row[0]))))


def joint_group(fields: Mapping[str, str | None], by: Sequence[str]) -> str:
    """The group of a picture by several fields together: "food / poster"; `NONE` stands where a value is missing."""
    return BETWEEN.join(fields.get(name) or NONE for name in by)


def _coded(groups: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each picture the number of its group (n,), and how many each group has (k,)."""
    _, codes, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return codes.reshape(-1), counts


def balance_weights(groups: Sequence[str] | np.ndarray) -> np.ndarray:
    """The weight of each picture (n,) in fp64: every group has the same in all, and the mean is 1."""
    if not len(groups):
        return np.empty(0)
    codes, counts = _coded(groups)
    return len(codes) / (len(counts) * counts[codes].astype(np.float64))


def downsample(
    groups: Sequence[str] | np.ndarray,
    keys: np.ndarray,
    seed: int,
    most: float = 1.0,
    best: np.ndarray | None = None,
) -> np.ndarray:
    """Which pictures stay where every group is cut to `most` times the smallest one: their places, ascending.

    keys: (n,) uint64 of `keyed.keyed`, by which and by the seed is drawn, so that another picture changes little.
    best: (n,) numbers, of which the greatest stay first. most: at least 1.
    """
    if not len(groups):
        return np.empty(0, dtype=np.int64)
    assert most >= 1, "a group cannot be smaller than the smallest"
    codes, counts = _coded(groups)
    rank = np.zeros(len(codes)) if best is None else -np.asarray(best, dtype=np.float64)
    order = np.lexsort((seeded_numbers(keys, seed), rank, codes))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    within = np.arange(len(codes)) - starts[codes[order]]
    return np.sort(order[within < int(most * counts.min())])
