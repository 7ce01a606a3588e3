"""Thompson sampling: chooses one of several adapters by their ratings.

W. R. Thompson, Biometrika 25, 1933; Chapelle and Li, NIPS 2011. A rating counts as (stars - 1) / 4 of a success and the
rest of 1 as a failure, so the quality of an adapter has a beta distribution, which is uniform without ratings. Each
call draws once from every adapter's distribution and uses the adapter with the highest draw. Adapters with few ratings
are tried, badly rated ones are used less and less, and the best one is used most.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from limner.core.feedback import STARS, RatingSummary
from limner.core.requests import AdapterUse


@dataclass(frozen=True, slots=True)
class AdapterChoice:
    """The chosen adapter, and the reason in a few words."""

    adapter: AdapterUse
    reason: str


def choose_adapter(adapters: Sequence[AdapterUse], standings: Sequence[RatingSummary], seed: int) -> AdapterChoice:
    """Choose an adapter by its ratings; the same standings and seed give the same choice."""
    known = {standing.name: standing for standing in standings}
    draws = [(_draw(adapter, known.get(adapter.path), seed), adapter) for adapter in adapters]
    stars, best = max(draws, key=lambda each: each[0])
    standing = known.get(best.path)
    ratings = "no ratings"
    if standing is not None and standing.mean is not None:
        ratings = f"{standing.ratings} rating{'s' * (standing.ratings != 1)} of mean {standing.mean:.2f}"
    return AdapterChoice(best, f"drew {stars:.2f} of {STARS} from {ratings}, the best of {len(adapters)}")


def _draw(adapter: AdapterUse, standing: RatingSummary | None, seed: int) -> float:
    """Draw the quality of an adapter, in stars, from its beta distribution."""
    ratings, mean = (0, 1.0) if standing is None or standing.mean is None else (standing.ratings, standing.mean)
    successes = ratings * (mean - 1) / (STARS - 1)
    draw = random.Random(f"{seed} {adapter.weight} {adapter.path}").betavariate(1 + successes, 1 + ratings - successes)
    return 1 + (STARS - 1) * draw
