"""Positions near the left and right border, clear of the subject."""

from __future__ import annotations

import random

from limner.starter.painter.canvas import SIZE


def one_side(rng: random.Random, inner: float = 26, outer: float = 4) -> float:
    """An x near the left or the right border, clear of the subject."""
    x = rng.uniform(outer, inner)
    return x if rng.random() < 0.5 else SIZE - x


def both_sides(rng: random.Random, count: int, inner: float = 30, outer: float = 0) -> list[float]:
    """`count` x positions that alternate between the left and the right border."""
    flip = rng.randrange(2)
    spots = [rng.uniform(outer, inner) for _ in range(count)]
    return [x if (k + flip) % 2 else SIZE - x for k, x in enumerate(spots)]
