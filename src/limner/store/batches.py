"""Ids in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
PER_STATEMENT = 500
"""Databases accept only so many ids in one statement."""


def batches(ids: Sequence[T]) -> Iterator[Sequence[T]]:
    """The ids, as many at a time as one statement takes."""
    return (ids[start : start + PER_STATEMENT] for start in range(0, len(ids), PER_STATEMENT))
