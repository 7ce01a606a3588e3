"""What an improvement learns from: feedback on the target's images, weighted by rater, with a part held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from limner.core.feedback import Reason
from limner.core.preferences import Feedback, Judgement, Preference
from limner.stats.rater_trust import TrustReport

WHOLE = (0.0, 1.0)
"""All noise levels."""


@dataclass(frozen=True, slots=True)
class TargetImages:
    """What the images of the target of an improvement are recognised by.

    name: of the target, for messages. adapters: SHA-256 of all files of the adapter and of its checkpoints; empty where
    the target is a model. models: references of the base model, as requests may name it.
    """

    name: str
    adapters: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class WeightedPair:
    """A pair and how much it counts.

    weight: from 0 to 1. noise: the range of noise levels at which it is learnt, from 0 (a clean image) to 1 (noise):
    what its reasons name is decided there.
    """

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
    """Feedback for training, and feedback held out for evaluation.

    No prompt of a held-out pair or rating is one of training. held_out_prompts: each once, in an order that depends on
    the seed alone. reasons: how often each was given in the feedback that is used. left_out: a line for each kind of
    feedback that is not used, with how often it occurs. digest: SHA-256 of the feedback used, independent of order.
    """

    pairs: tuple[WeightedPair, ...] = ()
    ratings: tuple[WeightedRating, ...] = ()
    held_out_pairs: tuple[WeightedPair, ...] = ()
    held_out_ratings: tuple[WeightedRating, ...] = ()
    held_out_prompts: tuple[str, ...] = ()
    trust: TrustReport = TrustReport()
    reasons: Mapping[Reason, int] = field(default_factory=dict[Reason, int])
    left_out: tuple[str, ...] = ()
    digest: str = ""


def learning_set(feedback: Feedback, target: TargetImages, seed: int, share: float = 0.2) -> LearningSet:
    """The feedback on the target's images, weighted, with a share of prompts held out. Raises LimnerError for none.

    seed: chooses the prompts that are held out.
    """
    raise NotImplementedError
