"""The ends of an axis: whether a best value may lie beyond what was tried."""

from __future__ import annotations

from limner.core.requests import Axis


def edge_of(axis: Axis, value: str) -> str | None:
    """A sentence if a value is the lowest or highest of an axis of numbers, so that the best may lie beyond it."""
    try:
        numbers = [float(each) for each in axis.values]
    except ValueError:
        return None
    if axis.field == "seed" or len(numbers) < 2 or min(numbers) < float(value) < max(numbers):
        return None
    end, beyond = ("lowest", "lower") if float(value) == min(numbers) else ("highest", "higher")
    return f"It is the {end} value tried; try {beyond} ones too."
