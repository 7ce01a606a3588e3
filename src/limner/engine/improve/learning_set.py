"""Feedback as a lesson uses it: weighted pairs and ratings, and what is held out for the evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from limner.core.feedback import Reason
from limner.core.preferences import Judgement, Preference


@dataclass(frozen=True)
class WeightedPair:
    """A pair with its weight, and the range of noise levels that its reasons concern, from 0 (clean) to 1 (noise)."""

    pair: Preference
    weight: float = 1.0
    noise: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class WeightedRating:
    """A rating with its weight."""

    rating: Judgement
    weight: float = 1.0


@dataclass(frozen=True)
class LearningSet:
    """The feedback of an improvement. digest: SHA-256 of the feedback that is used, in any order."""

    pairs: tuple[WeightedPair, ...]
    ratings: tuple[WeightedRating, ...]
    held_out_pairs: tuple[WeightedPair, ...]
    held_out_ratings: tuple[WeightedRating, ...]
    held_out_prompts: tuple[str, ...]
    digest: str
    reasons: Mapping[Reason, int] = field(default_factory=dict[Reason, int])
    left_out: tuple[str, ...] = ()
