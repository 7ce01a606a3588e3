"""Which of several adapters paints: the one that does best in a draw from what its ratings leave open.

Thompson sampling (W. R. Thompson, Biometrika 25, 1933; Chapelle and Li, NIPS 2011). A star rating counts as a success
of (stars - 1) / 4 and the rest of 1 as a failure, so that what is known of an adapter is a beta distribution, flat
where nobody rated it. Each call draws once from each of them and takes the highest. So an adapter with few ratings
gets its chance, one that is rated low gets it ever less, and the best one paints most.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from limner.core.feedback import STARS, RatingSummary
from limner.core.requests import AdapterUse


@dataclass(frozen=True, slots=True)
class Choice:
    """The adapter that was chosen, and why, in a few words."""

    adapter: AdapterUse
    why: str


def chosen(adapters: Sequence[AdapterUse], standings: Sequence[RatingSummary], chance: int) -> Choice:
    """One of the adapters by their standings; the same for the same standings and the same chance."""
    known = {standing.name: standing for standing in standings}
    draws = [(_draw(use, known.get(use.path), chance), use) for use in adapters]
    stars, best = max(draws, key=lambda each: each[0])
    standing = known.get(best.path)
    rated = "no ratings" if standing is None or standing.mean is None else _rated(standing.ratings, standing.mean)
    return Choice(best, f"drew {stars:.2f} of {STARS} from {rated}, the best of {len(adapters)}")


def _draw(use: AdapterUse, standing: RatingSummary | None, chance: int) -> float:
    """Stars that an adapter may well deserve by what is known of it."""
    ratings, mean = (0, 1.0) if standing is None or standing.mean is None else (standing.ratings, standing.mean)
    successes = ratings * (mean - 1) / (STARS - 1)
    drawn = random.Random(f"{chance} {use.weight} {use.path}").betavariate(1 + successes, 1 + ratings - successes)
    return 1 + (STARS - 1) * drawn


def _rated(ratings: int, mean: float) -> str:
    return f"{ratings} rating{'s' * (ratings != 1)} of mean {mean:.2f}"
