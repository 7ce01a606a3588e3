"""What was costly to make, kept in memory for the next time, within a budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """The values that were used last. budget: how much of them, by the `size` that each says of itself, in bytes.

    The last one stays, whatever its size. made: how often a value was not there.
    """

    def __init__(self, budget: float, size: Callable[[Value], int]) -> None:
        self.budget, self.size, self.made = budget, size, 0
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def of(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of this key, made where it is not there; those used longest ago go, to make room."""
        if key not in self._values:
            self.made += 1
            self._values[key] = make()
            self.shrink(self.budget, 1)
        self._values.move_to_end(key)
        return self._values[key]

    def shrink(self, budget: float, least: int = 0) -> None:
        """Let go of values until no more than the budget is left, or the `least` number of values."""
        total = sum(map(self.size, self._values.values()))
        while total > budget and len(self._values) > least:
            total -= self.size(self._values.popitem(last=False)[1])

    def values(self) -> list[Value]:
        """Those used longest ago first."""
        return list(self._values.values())

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def clear(self) -> None:
        self._values.clear()
