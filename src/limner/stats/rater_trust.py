"""Whose feedback counts how much: raters who contradict themselves, act together, oppose or outweigh the others.

A taste of one's own is no fault: only what random answers or other tastes do not explain lowers a weight.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from math import isfinite

from limner.core.preferences import Judgement, Preference
from limner.stats.intervals import wilson
from limner.stats.judgements import Answer, Unit, agreement, answers

SAME_ANSWERS, RATERS_TOGETHER = 5, 3
"""From so many answers, given alike by so many raters who gave no others, these count as one."""
BURST, BURST_RATERS, BURST_ANSWERS = timedelta(hours=1), 5, 20
"""Within this time, so many raters who gave no others give so many ratings of one direction: they count as one."""
BURST_CHANCE = 1e-3
"""Such a burst must be rarer than this among the ratings of the others."""
LEAST_OTHERS = 10
"""Judgements of others from which on one rater is limited to their total."""
LEAST_RATERS = 3
"""Of two raters who differ, nobody knows which one is right."""


@dataclass(frozen=True, slots=True)
class RaterTrust:
    """How much one rater's feedback counts.

    rater: the pseudonym. weight: of each judgement, from 0 (left out) to 1. judgements: how many pairs and ratings.
    why: what lowers the weight, a line each, with its figures; empty at weight 1.
    """

    rater: str
    weight: float
    judgements: int
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrustReport:
    """How far raters agree, and how much each counts.

    alpha, low, high: Krippendorff's alpha of what several raters judged, with its 95% interval; None where nothing can
    be compared. units: how many pairs several raters judged, or images if those are more. raters: those with most
    judgements first. notes: what one should know of whose taste it is, a line each.
    """

    alpha: float | None = None
    low: float | None = None
    high: float | None = None
    units: int = 0
    raters: tuple[RaterTrust, ...] = ()
    notes: tuple[str, ...] = ()

    def weight(self, rater: str) -> float:
        """The weight of a rater's judgements; 1 for an unknown one."""
        return next((each.weight for each in self.raters if each.rater == rater), 1.0)


Lowered = dict[str, tuple[float, str]]
"""By rater: a factor of the weight, and why."""


def rater_trust(ratings: Sequence[Judgement], pairs: Sequence[Preference]) -> TrustReport:
    """How much each rater counts. Feedback without a rater, as some files have it, counts in full."""
    given = answers(ratings, pairs)
    counts = Counter(each.rater for each in given)
    weights, why = dict.fromkeys(counts, 1.0), defaultdict[str, list[str]](list)
    named = [each for each in given if each.rater]

    def lower(found: Lowered) -> None:
        for rater, (factor, reason) in found.items():
            weights[rater] *= factor
            why[rater].append(reason)

    lower(contradictions(named))
    lower(acting_together(named))
    lower(opposition(named, weights))
    lower(one_voice(counts, weights))
    alpha, low, high, units = agreement(named)
    ordered = sorted(counts, key=lambda rater: (-counts[rater], rater))
    raters = tuple(RaterTrust(rater, weights[rater], counts[rater], tuple(why[rater])) for rater in ordered)
    return TrustReport(_finite(alpha), _finite(low), _finite(high), units, raters, _notes(counts))


def contradictions(given: Sequence[Answer]) -> Lowered:
    """Raters who answer the same question differently, or prefer an image that they gave fewer stars.

    If an answer is right with probability p, two answers contradict each other at a rate of 2p(1 - p), and the squared
    correlation of an answer with the truth is (2p - 1)^2, which is 1 minus twice that rate. The factor is this, at the
    lower end of the rate's 95% interval.
    """
    found: Lowered = {}
    for rater, own in _by_rater(given).items():
        times, wrong = _repetitions(own)
        if wrong:
            factor = max(0.0, 1 - 2 * wilson(wrong, times)[1])
            found[rater] = (factor, f"contradicts own answers in {wrong:,} of {times:,} repetitions")
    return found


def _repetitions(own: Sequence[Answer]) -> tuple[int, int]:
    """How many answers of a rater follow from earlier ones, and how many contradict these. Ties do neither."""
    stars = {answer.unit[0]: answer.value for answer in own if len(answer.unit) == 1}
    first: dict[Unit, int] = {}
    times = wrong = 0
    for answer in own:
        expected = [first.get(answer.unit, 0)]
        if len(answer.unit) == 2:
            before, after = (stars.get(image) for image in answer.unit)
            expected.append(0 if before is None or after is None else (after > before) - (after < before))
        known = [direction for direction in expected if direction and answer.direction]
        times += len(known)
        wrong += sum(direction == -answer.direction for direction in known)
        first.setdefault(answer.unit, answer.direction)
    return times, wrong


def acting_together(given: Sequence[Answer]) -> Lowered:
    """Raters who gave the same answers and no others, or many ratings of one direction at once: each group counts as
    one rater.
    """
    by_rater = _by_rater(given)
    by_answers = defaultdict[frozenset[tuple[Unit, int]], list[str]](list)
    for rater, own in sorted(by_rater.items()):
        by_answers[frozenset((each.unit, each.value) for each in own)].append(rater)
    found: Lowered = {}
    for judged, group in by_answers.items():
        if len(judged) >= SAME_ANSWERS and len(group) >= RATERS_TOGETHER:
            line = (
                f"one of {len(group):,} raters with the same {len(judged):,} answers and no others; they count as one"
            )
            found |= dict.fromkeys(group, (1 / len(group), line))
    rest = {rater: own for rater, own in by_rater.items() if rater not in found}
    for group, direction in _bursts(rest, given):
        kind = "good" if direction > 0 else "bad"
        line = f"one of {len(group):,} raters who gave only {kind} ratings, all within an hour; they count as one"
        found |= dict.fromkeys(group, (1 / len(group), line))
    return found


def _bursts(by_rater: Mapping[str, Sequence[Answer]], given: Sequence[Answer]) -> Iterable[tuple[list[str], int]]:
    """Groups of raters all of whose ratings have one direction and were given within one hour, with that direction.

    The others' ratings must make this unlikely: at the others' share p of that direction, n ratings of one direction
    have the probability p^n.
    """
    directions = Counter(each.direction for each in given if len(each.unit) == 1)
    for direction in (-1, 1):
        spans = sorted(_one_sided(by_rater, direction))
        start = number = 0
        for end, (first, _, size) in enumerate(spans):
            while first - spans[start][0] > BURST:
                number -= spans[start][2]
                start += 1
            number += size
            ends = end + 1 == len(spans) or spans[end + 1][0] - spans[start][0] > BURST
            group = end + 1 - start
            if ends and group >= BURST_RATERS and number >= BURST_ANSWERS and _is_rare(number, direction, directions):
                yield [rater for _, rater, _ in spans[start : end + 1]], direction
                start, number = end + 1, 0


def _one_sided(by_rater: Mapping[str, Sequence[Answer]], direction: int) -> Iterable[tuple[datetime, str, int]]:
    """Time of the first rating, name and number of ratings of raters who rated in one direction only, in one burst."""
    for rater, own in by_rater.items():
        moments = [each.created for each in own if each.created is not None]
        one_sided = all(len(each.unit) == 1 and each.direction == direction for each in own)
        if one_sided and len(moments) == len(own) and max(moments) - min(moments) <= BURST:
            yield min(moments), rater, len(own)


def _is_rare(number: int, direction: int, directions: Mapping[int, int]) -> bool:
    """Whether so many ratings of one direction only would be rare if they were as those of the others.

    directions: how many ratings there are of each direction, these among them.
    """
    others = sum(directions.values()) - number
    share = (directions[direction] - number + 1) / (others + 2)  # Laplace's rule of succession
    return others > 0 and share**number < BURST_CHANCE


def opposition(given: Sequence[Answer], weights: Mapping[str, float]) -> Lowered:
    """Raters who answer against the majority of the others more often than chance.

    The majority is weighted, and of at least two others. Where the 95% interval of the share q of opposite answers is
    above one half, the factor is 2 (1 - q): 0 for a rater who always opposes.
    """
    votes: dict[Unit, dict[str, int]] = defaultdict(dict)
    for answer in given:
        votes[answer.unit][answer.rater] = answer.direction
    times, against = Counter[str](), Counter[str]()
    for by in votes.values():
        total = sum(weights[rater] * direction for rater, direction in by.items())
        voters = sum(1 for direction in by.values() if direction)
        for rater, direction in by.items():
            others = total - weights[rater] * direction
            if direction and voters >= LEAST_RATERS and abs(others) > 1e-9:
                times[rater] += 1
                against[rater] += direction * others < 0
    found: Lowered = {}
    for rater, number in times.items():
        opposite, low, _ = wilson(against[rater], number)
        if low > 0.5:
            line = f"opposes the majority of the others in {against[rater]:,} of {number:,} answers"
            found[rater] = (2 * (1 - opposite), line)
    return found


def one_voice(counts: Mapping[str, int], weights: Mapping[str, float]) -> Lowered:
    """The rater whose judgements outweigh those of all others together, who then count as much as this one.

    Not where there are fewer than three raters, or hardly any judgements of others: then it is this rater's taste.
    """
    totals = {rater: weights[rater] * number for rater, number in counts.items()}
    named = [rater for rater in totals if rater]
    largest = max(named, key=lambda rater: totals[rater], default="")
    others = sum(totals.values()) - totals.get(largest, 0)
    if len(named) < LEAST_RATERS or others < LEAST_OTHERS or totals[largest] <= others:
        return {}
    share = totals[largest] / (totals[largest] + others)
    return {largest: (others / totals[largest], f"gave {share:.0%} of the feedback; counts as much as all others")}


def _notes(counts: Mapping[str, int]) -> tuple[str, ...]:
    total, unnamed = sum(counts.values()), counts.get("", 0)
    lines = [f"{unnamed:,} of {total:,} judgements name no rater; they count in full"] if unnamed else []
    rater, most = max(counts.items(), key=lambda each: each[1], default=("", 0))
    if rater and 2 * most > total:
        lines.append(f"one rater gave {most / total:.0%} of the feedback: it is mostly the taste of one person")
    return tuple(lines)


def _by_rater(given: Iterable[Answer]) -> dict[str, list[Answer]]:
    ordered = sorted(given, key=lambda each: each.rater)  # the order of one rater's answers stays
    return {rater: [*own] for rater, own in groupby(ordered, lambda each: each.rater)}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
