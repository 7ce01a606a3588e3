"""The result of a comparison: images, scores, paired differences and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from limner.core.metrics import MetricResult
from limner.core.requests import CompareRequest
from limner.engine.compare.contestants import ModelWithAdapters
from limner.stats.intervals import difference

PromptSeed = tuple[str, int]
"""A prompt and a seed: what one image of a contestant is generated from."""
MIN_PAIRS = 6
"""Pairs below which no difference is claimed: five coins show the same side in one throw of sixteen."""
PAIRS = {"picture": "pairs of images", "group": "prompts", "set": "pair of sets"}


def prompts_and_seeds(request: CompareRequest) -> list[PromptSeed]:
    """Prompt and seed of the images of each contestant, in order."""
    seeds = range(request.seed, request.seed + request.count)
    return [(prompt, seed) for prompt in request.prompt for seed in seeds]


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A contestant's score minus that of the first for the same prompts and seeds, with its 95% interval.

    count: number of pairs; the interval of a single pair is from minus to plus infinity. of: what the pairs are.
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
    def significant(self) -> bool:
        """Whether the interval excludes zero and there are enough pairs."""
        return self.count >= MIN_PAIRS and (self.low > 0 or self.high < 0)

    @property
    def winner(self) -> str | None:
        """The better contestant; None without a significant difference, or if the metric has no better direction."""
        if not self.significant or self.better is None:
            return None
        return self.other if (self.mean > 0) == (self.better == "higher") else self.first

    @property
    def figures(self) -> str:
        """The difference, its interval and the number of pairs, as text."""
        if not np.isfinite(self.low):
            return f"{self.mean:+.3g}, from a single pair"
        mean, low, high = rounded(self.mean, self.low, self.high)
        few = ", too few for a conclusion" if self.count < MIN_PAIRS else ""
        return f"{mean} [{low}, {high}] over {self.count} {self.of}{few}"

    def sentence(self) -> str:
        """The difference in plain English."""
        if not self.significant:
            return f"{self.title}: no clear difference between {self.other} and {self.first}: {self.figures}"
        if self.winner is None:
            more = "higher" if self.mean > 0 else "lower"
            return f"{self.title}: {self.other} is {more} than {self.first}: {self.figures}"
        loser = self.first if self.winner == self.other else self.other
        sign = "" if self.winner == self.other else f" ({self.other} minus {self.first})"
        return f"{self.title}: {self.winner} is better than {loser}: {self.figures}{sign}"

    def as_json(self) -> dict[str, object]:
        """The values by the keys of compare.json; the infinite interval of a single pair as null."""
        bounds = {} if np.isfinite(self.low) else {"low": None, "high": None}
        return {**asdict(self), **bounds, "winner": self.winner, "sentence": self.sentence()}


@dataclass(frozen=True)
class ComparisonResult:
    """images, scores: by the contestants' names."""

    request: CompareRequest
    contestants: tuple[ModelWithAdapters, ...]
    images: Mapping[str, Mapping[PromptSeed, Path]]
    scores: Mapping[str, Mapping[str, MetricResult]]
    differences: tuple[PairedDifference, ...]

    @property
    def names(self) -> list[str]:
        return [contestant.name for contestant in self.contestants]

    @property
    def verdict(self) -> str:
        return verdict(self.differences)


def differences(scores: Mapping[str, Mapping[str, MetricResult]]) -> list[PairedDifference]:
    """Differences between every other contestant and the first, metric by metric. scores: by contestant and metric."""
    first, *others = scores
    return [
        _difference(scores[first][metric], scores[other][metric], first, other)
        for metric in scores[first]
        for other in others
    ]


def _difference(before: MetricResult, after: MetricResult, first: str, other: str) -> PairedDifference:
    figures = difference(before.values, after.values)
    count, of = len(before.values), PAIRS[before.unit]
    return PairedDifference(before.metric, before.title, before.better, first, other, *figures, count, of)


def rounded(*values: float) -> list[str]:
    """Values with a sign and a common number of decimals, as many as the largest needs for three digits."""
    largest = max(abs(value) for value in values)
    decimals = 3 if largest == 0 else int(np.clip(2 - np.floor(np.log10(largest)), 0, 6))
    return [f"{value:+.{decimals}f}" for value in values]


def verdict(found: Sequence[PairedDifference]) -> str:
    """The result in a sentence: who is better than the first, by the first metric that has a better direction."""
    directed = [each for each in found if each.better is not None]
    if not directed:
        return "None of the scores says which is better; look at the images, or let people vote on the blind page."
    those = [each for each in directed if each.metric == directed[0].metric]
    first = those[0].first
    better = [f"{each.other} is better than {first}: {each.figures}" for each in those if each.winner == each.other]
    worse = [f"{each.other} is worse than {first}: {each.figures}" for each in those if each.winner == each.first]
    parts = better + worse
    if rest := [each for each in those if each.winner is None]:
        names = [each.other for each in rest]
        figures = f": {rest[0].figures}" if len(rest) == 1 else ""
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        parts.append(f"{listed} {'is' if len(rest) == 1 else 'are'} not clearly different from {first}{figures}")
    return f"By {directed[0].title}, {'; '.join(parts)}."
