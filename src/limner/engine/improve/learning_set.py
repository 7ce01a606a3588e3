"""What an improvement learns from: feedback on the target's images, weighted by rater, with a part held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from limner.core.errors import LimnerError
from limner.core.feedback import Reason
from limner.core.left_out import LeftOut
from limner.core.preferences import Feedback, JudgedImage, Judgement, Preference
from limner.core.requests.request import digest_of
from limner.core.star_pairs import pairs_from_stars
from limner.engine.improve.held_out import held_out, prompt_key
from limner.engine.improve.target_images import TargetImages
from limner.engine.improve.usable_feedback import (
    consistent_pairs,
    latest_ratings,
    pair_key,
    usable_pairs,
    usable_ratings,
)
from limner.stats.rater_trust import TrustReport, rater_trust

WHOLE = (0.0, 1.0)
"""All noise levels."""
COARSE, FINE = (0.4, 1.0), (0.0, 0.5)
"""Noise levels at which layout and content are decided, and details (Choi et al. 2022, arXiv 2204.00227, section 3)."""
NOISE: Mapping[Reason, tuple[float, float]] = {
    **dict.fromkeys((Reason.WRONG_SUBJECT, Reason.OFF_PROMPT, Reason.BAD_ANATOMY, Reason.BAD_COMPOSITION), COARSE),
    **dict.fromkeys((Reason.BLURRED, Reason.ARTEFACTS, Reason.BAD_TEXT), FINE),
    **dict.fromkeys((Reason.WRONG_STYLE, Reason.BAD_COLOURS), WHOLE),
}
"""Noise levels at which what a reason names is decided. Other reasons name nothing that is decided at any."""
T = TypeVar("T")
Given = TypeVar("Given", Judgement, Preference)


@dataclass(frozen=True, slots=True)
class WeightedPair:
    """A pair and how much it counts.

    weight: above 0, up to 1. noise: the range of noise levels at which it is learnt, from 0 (a clean image) to 1
    (noise): what its reasons name is decided there.
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
    trust: TrustReport = field(default_factory=TrustReport)
    reasons: Mapping[Reason, int] = field(default_factory=dict[Reason, int])
    left_out: tuple[str, ...] = ()
    digest: str = ""


def learning_set(feedback: Feedback, target: TargetImages, seed: int, share: float = 0.2) -> LearningSet:
    """The feedback on the target's images, weighted, with a share of prompts held out.

    Stars on images of the same prompts by one rater are pairs too. seed: chooses the prompts that are held out. Raises
    LimnerError where no feedback can be used.
    """
    left_out = LeftOut()
    all_ratings, all_pairs = usable_ratings(feedback, target, left_out), usable_pairs(feedback, target, left_out)
    trust = rater_trust(all_ratings, all_pairs)
    ratings = latest_ratings(all_ratings, left_out)
    known = {*map(pair_key, all_pairs)}
    derived = [pair for pair in pairs_from_stars(ratings) if pair_key(pair) not in known]
    pairs = consistent_pairs([*all_pairs, *derived], left_out)
    weights = {each.rater: each.weight for each in trust.raters}
    ratings = _trusted(ratings, weights, "rating", left_out)
    pairs = _trusted(pairs, weights, "pair", left_out)
    if not ratings and not pairs:
        lines = (*left_out.lines, *feedback.left_out)
        reason = f": {lines[0]}" if lines else ""
        problem = f"there is no feedback on images of {target.name!r} that can be used{reason}"
        raise LimnerError(problem, "rate or compare images that it generated, or choose other feedback")
    held = held_out(Counter(map(_prompt, (*ratings, *pairs))), seed, share)
    chosen = {*held}
    weighted_pairs = [WeightedPair(pair, weights.get(pair.rater, 1.0), noise_of(pair.reasons)) for pair in pairs]
    weighted = [WeightedRating(each, weights.get(each.rater, 1.0), noise_of(each.reasons)) for each in ratings]
    train_pairs, held_out_pairs = _split(weighted_pairs, lambda each: _prompt(each.pair) in chosen)
    train_ratings, held_out_ratings = _split(weighted, lambda each: _prompt(each.rating) in chosen)
    return LearningSet(
        train_pairs,
        train_ratings,
        held_out_pairs,
        held_out_ratings,
        _as_written(held, ratings, pairs),
        trust,
        _reasons(ratings, pairs),
        (*left_out.lines, *feedback.left_out),
        digest_of_feedback(ratings, pairs),
    )


def noise_of(reasons: Iterable[Reason]) -> tuple[float, float]:
    """The smallest range of noise levels at which all that the reasons name is decided."""
    ranges = [NOISE[reason] for reason in reasons if reason in NOISE]
    return (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else WHOLE


def digest_of_feedback(ratings: Iterable[Judgement], pairs: Iterable[Preference]) -> str:
    """SHA-256 of the canonical JSON of feedback, which depends neither on its order nor on where its images are."""
    rows = [["rating", *_facts(each.image), each.stars, [*each.reasons], each.rater] for each in ratings]
    for pair in pairs:
        images = *_facts(pair.better), *_facts(pair.worse)
        rows.append(["pair", *images, [*pair.reasons], pair.rater, pair.source])
    return digest_of(sorted(rows, key=digest_of))


def _facts(image: JudgedImage) -> list[str]:
    return [image.sha256, image.prompt, image.negative_prompt]


def _trusted(given: Sequence[Given], weights: Mapping[str, float], what: str, left_out: LeftOut) -> list[Given]:
    found = [each for each in given if weights.get(each.rater, 1.0) > 0]
    left_out.add(what, "its rater is not trusted", count=len(given) - len(found))
    return found


def _split(items: Iterable[T], chosen: Callable[[T], bool]) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """The items that are not chosen, and those that are."""
    found: tuple[list[T], list[T]] = ([], [])
    for item in items:
        found[chosen(item)].append(item)
    return (*found[0],), (*found[1],)


def _prompt(each: Judgement | Preference) -> str:
    return prompt_key(_image(each).prompt)


def _image(each: Judgement | Preference) -> JudgedImage:
    return each.image if isinstance(each, Judgement) else each.better


def _as_written(held: Sequence[str], ratings: Iterable[Judgement], pairs: Iterable[Preference]) -> tuple[str, ...]:
    prompts = sorted({_image(each).prompt for each in (*ratings, *pairs)}, reverse=True)
    written = {prompt_key(prompt): prompt for prompt in prompts}
    return tuple(written[key] for key in held)


def _reasons(ratings: Iterable[Judgement], pairs: Iterable[Preference]) -> dict[Reason, int]:
    """How often each reason was given. Those of pairs that follow from ratings are these ratings' own."""
    given = (*ratings, *(pair for pair in pairs if pair.source != "stars"))
    return dict(sorted(Counter(reason for each in given for reason in each.reasons).items()))
