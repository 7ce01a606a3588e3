"""Evenly spaced items of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spaced, in their order."""
    return [items[i] for i in sorted({i * len(items) // count for i in range(count)})] if items else []
