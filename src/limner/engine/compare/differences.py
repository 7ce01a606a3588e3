"""Paired differences of contestants' scores, and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from limner.core.metrics import MetricResult
from limner.stats.intervals import difference

FEWEST = 6
"""Pairs below which nothing is claimed: five coins fall on one side in one throw of sixteen."""
OF = {"picture": "pairs of pictures", "group": "prompts", "set": "pair of sets"}


@dataclass(frozen=True, slots=True)
class Difference:
    """A contestant's score minus that of the first for the same prompts and seeds, with its 95% interval.

    count: how many pairs; of one alone, the interval is from minus to plus infinity.
    """

    metric: str
    title: str
    better: Literal["higher", "lower"] | None
    first: str
    other: str
    mean: float
    low: float
    high: float
    count: int
    of: str

    @property
    def shown(self) -> bool:
        """Whether the interval leaves zero out, and there are pairs enough to say so."""
        return self.count >= FEWEST and (self.low > 0 or self.high < 0)

    @property
    def winner(self) -> str | None:
        """Who is better, None where nobody is shown to be, or higher is not better."""
        if not self.shown or self.better is None:
            return None
        return self.other if (self.mean > 0) == (self.better == "higher") else self.first

    @property
    def figures(self) -> str:
        """The difference, its interval and what it rests on, as text."""
        if not np.isfinite(self.low):
            return f"{self.mean:+.3g}, of one pair only"
        mean, low, high = rounded(self.mean, self.low, self.high)
        few = ", which are too few to tell" if self.count < FEWEST else ""
        return f"{mean} [{low}, {high}] over {self.count} {self.of}{few}"

    def sentence(self) -> str:
        """What it says, in plain English."""
        if not self.shown:
            return f"{self.title}: no difference shown between {self.other} and {self.first}: {self.figures}"
        if self.winner is None:
            more = "more" if self.mean > 0 else "less"
            return f"{self.title}: {self.other} has {more} of it than {self.first}: {self.figures}"
        loser = self.first if self.winner == self.other else self.other
        sign = "" if self.winner == self.other else f" ({self.other} minus {self.first})"
        return f"{self.title}: {self.winner} is better than {loser}: {self.figures}{sign}"

    def told(self) -> dict[str, object]:
        """Plain values for JSON; an interval of one pair is not told."""
        bounds = {} if np.isfinite(self.low) else {"low": None, "high": None}
        return {**asdict(self), **bounds, "winner": self.winner, "sentence": self.sentence()}


def differences(scores: Mapping[str, Mapping[str, MetricResult]]) -> list[Difference]:
    """Of every contestant but the first, metric by metric; scores: by contestant, then by metric."""
    first, *others = scores
    return [
        _difference(scores[first][metric], scores[other][metric], first, other)
        for metric in scores[first]
        for other in others
    ]


def _difference(before: MetricResult, after: MetricResult, first: str, other: str) -> Difference:
    figures = difference(before.values, after.values)
    count = len(before.values)
    return Difference(before.metric, before.title, before.better, first, other, *figures, count, OF[before.unit])


def rounded(*values: float) -> list[str]:
    """Numbers with a sign and as many decimals as the largest of them needs for three digits."""
    largest = max(abs(value) for value in values)
    decimals = 3 if largest == 0 else int(np.clip(2 - np.floor(np.log10(largest)), 0, 6))
    return [f"{value:+.{decimals}f}" for value in values]


def verdict(found: Sequence[Difference]) -> str:
    """The whole in a sentence: who is better than the first by the first score that has a better way."""
    judged = [each for each in found if each.better is not None]
    if not judged:
        return "None of the scores says which is better; look at the pictures, or have people vote on the blind page."
    title = judged[0].title
    those = [each for each in judged if each.metric == judged[0].metric]
    first = those[0].first
    ahead = [each for each in those if each.winner == each.other]
    behind = [each for each in those if each.winner == each.first]
    parts = [_told(each, "better", "than", first) for each in ahead] + [
        _told(each, "worse", "than", first) for each in behind
    ]
    rest = [each for each in those if each.winner is None]
    if rest:
        names = _listed([each.other for each in rest])
        figures = f": {rest[0].figures}" if len(rest) == 1 else ""
        parts.append(f"{names} {'is' if len(rest) == 1 else 'are'} not shown to differ from {first}{figures}")
    text = "; ".join(parts)
    return f"By {title}, {text}."


def _told(each: Difference, how: str, than: str, first: str) -> str:
    return f"{each.other} is {how} {than} {first}: {each.figures}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
