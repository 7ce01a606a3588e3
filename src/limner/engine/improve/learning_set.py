"""What an improvement learns from: feedback on the target's images, weighted by rater, with a part held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from limner.core.feedback import Reason
from limner.core.preferences import Judgement, Preference

WHOLE = (0.0, 1.0)
"""All noise levels."""


@dataclass(frozen=True, slots=True)
class WeightedPair:
    """A pair and how much it counts. noise: the range of noise levels at which it is learnt, from 0 (clean) to 1."""

    pair: Preference
    weight: float = 1.0
    noise: tuple[float, float] = WHOLE


@dataclass(frozen=True, slots=True)
class WeightedRating:
    """A rating and how much it counts, as of a pair."""

    rating: Judgement
    weight: float = 1.0
    noise: tuple[float, float] = WHOLE


@dataclass(frozen=True, slots=True)
class LearningSet:
    """Feedback for training, and feedback held out for evaluation. digest: SHA-256 of the feedback used."""

    pairs: tuple[WeightedPair, ...] = ()
    ratings: tuple[WeightedRating, ...] = ()
    held_out_pairs: tuple[WeightedPair, ...] = ()
    held_out_ratings: tuple[WeightedRating, ...] = ()
    held_out_prompts: tuple[str, ...] = ()
    reasons: Mapping[Reason, int] = field(default_factory=dict[Reason, int])
    left_out: tuple[str, ...] = ()
    digest: str = ""
