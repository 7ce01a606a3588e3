"""The result of a comparison: images, scores, paired differences and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from limner.core.metrics import MetricResult
from limner.core.requests import CompareRequest
from limner.engine.compare.contestants import ModelWithAdapters
from limner.engine.scoring.evidence import Evidence

PromptSeed = tuple[str, int]
"""A prompt as typed and a seed: what one image of a contestant is generated from."""
PAIRS = {"picture": "pairs of images", "group": "prompts", "set": "pairs of sets"}
MORE = "ask for more images by --count, or more prompts"
INSTEAD = (
    "name another metric by --metric, give photos of the subject by --references, or let people vote on blind.html"
)


def prompts_and_seeds(request: CompareRequest) -> list[PromptSeed]:
    """Prompt and seed of the images of each contestant, in order."""
    seeds = range(request.seed, request.seed + request.count)
    return [(prompt, seed) for prompt in request.prompt for seed in seeds]


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A contestant's score minus that of the first for the same prompts and seeds. of: what the pairs are."""

    metric: str
    title: str
    better: Literal["higher", "lower"] | None
    first: str
    other: str
    evidence: Evidence
    of: str

    @property
    def winner(self) -> str | None:
        """The better contestant; None without sufficient evidence, or if the metric has no better direction."""
        if not self.evidence.sufficient or self.better is None:
            return None
        return self.other if (self.evidence.mean > 0) == (self.better == "higher") else self.first

    @property
    def outcome(self) -> str:
        """The winner, or why there is none, in a few words."""
        if self.winner is not None:
            return self.winner
        if self.evidence.negligible:
            return "no difference that matters"
        if not self.evidence.significant:
            return "no clear difference"
        return "a matter of taste" if self.better is None else "cannot tell"

    @property
    def figures(self) -> str:
        """The difference, its interval and the number of pairs, as text."""
        found = self.evidence
        if not np.isfinite(found.low):
            return f"{found.mean:+.3g}, from a single pair"
        mean, low, high = rounded(found.mean, found.low, found.high)
        few = "" if found.enough_pairs else ", too few for a conclusion"
        return f"{mean} [{low}, {high}] over {found.count} {self.of}{few}"

    @property
    def lack(self) -> str | None:
        """What is missing for a verdict, and what would be enough; None if nothing is."""
        return self.evidence.lack(self.of, MORE, INSTEAD)

    def sentence(self) -> str:
        """The difference in plain English."""
        if self.evidence.negligible:
            return f"{self.title}: no difference that matters between {self.other} and {self.first}: {self.figures}"
        if not self.evidence.significant:
            return f"{self.title}: no clear difference between {self.other} and {self.first}: {self.figures}"
        if self.winner is None:
            more = "higher" if self.evidence.mean > 0 else "lower"
            lack = f"; {self.lack}" if self.better is not None and self.lack else ""
            return f"{self.title}: {self.other} is {more} than {self.first}: {self.figures}{lack}"
        loser = self.first if self.winner == self.other else self.other
        sign = "" if self.winner == self.other else f" ({self.other} minus {self.first})"
        return f"{self.title}: {self.winner} is better than {loser}: {self.figures}{sign}"

    def as_json(self) -> dict[str, object]:
        """The values by the keys of compare.json; the infinite interval of a single pair as null."""
        values = asdict(self)
        evidence = values.pop("evidence")
        bounds = {} if np.isfinite(self.evidence.low) else {"low": None, "high": None}
        verdict = {"winner": self.winner, "sentence": self.sentence()}
        return {**values, **evidence, **bounds, **verdict}


@dataclass(frozen=True)
class ComparisonResult:
    """images, scores: by the contestants' names. texts: how prompts with {} read, by the prompt as typed."""

    request: CompareRequest
    contestants: tuple[ModelWithAdapters, ...]
    images: Mapping[str, Mapping[PromptSeed, Path]]
    scores: Mapping[str, Mapping[str, MetricResult]]
    differences: tuple[PairedDifference, ...]
    texts: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def names(self) -> list[str]:
        return [contestant.name for contestant in self.contestants]

    def text(self, prompt: str) -> str:
        """How a prompt reads on pages."""
        return self.texts.get(prompt, prompt)

    @property
    def verdict(self) -> str:
        return verdict(self.differences)


def differences(
    scores: Mapping[str, Mapping[str, MetricResult]],
    doubts: Mapping[str, str] | None = None,
    smallest: Mapping[str, float] | None = None,
) -> list[PairedDifference]:
    """Differences between every other contestant and the first, metric by metric.

    scores: by contestant and metric. doubts: why a metric does not decide, for those that do not. smallest: by metric,
    the smallest difference that matters.
    """
    first, *others = scores
    return [
        _difference(
            scores[first][metric],
            scores[other][metric],
            (first, other),
            len(others),
            (doubts or {}).get(metric),
            (smallest or {}).get(metric, 0.0),
        )
        for metric in scores[first]
        for other in others
    ]


def _difference(
    before: MetricResult,
    after: MetricResult,
    names: tuple[str, str],
    tests: int,
    distrust: str | None,
    smallest: float,
) -> PairedDifference:
    if before.unit == "set":
        distrust = distrust or f"{before.title} is a single value for all images"
    evidence = Evidence.of(before.values, after.values, tests, distrust, smallest)
    return PairedDifference(before.metric, before.title, before.better, *names, evidence, PAIRS[before.unit])


def rounded(*values: float) -> list[str]:
    """Values with a sign and a common number of decimals, as many as the largest needs for three digits."""
    largest = max(abs(value) for value in values)
    decimals = 3 if largest == 0 else int(np.clip(2 - np.floor(np.log10(largest)), 0, 6))
    return [f"{value:+.{decimals}f}" for value in values]


def verdict(found: Sequence[PairedDifference]) -> str:
    """The result in sentences: who is better than the first, by the first metric that agrees with the truth.

    Where there is no evidence, what is missing, and what would be enough.
    """
    directed = [each for each in found if each.better is not None]
    if not directed:
        return f"Cannot tell which is better: none of the scores has a better direction; {INSTEAD}."
    trusted = [each for each in directed if each.evidence.distrust is None]
    metric = (trusted or directed)[0].metric
    those = [each for each in directed if each.metric == metric]
    first = those[0].first
    better = [f"{each.other} is better than {first}: {each.figures}" for each in those if each.winner == each.other]
    worse = [f"{each.other} is worse than {first}: {each.figures}" for each in those if each.winner == each.first]
    known = [f"By {those[0].title}, {'; '.join(better + worse)}."] if better or worse else []
    return " ".join([*known, *(_open_sentence(each) for each in those if each.winner is None)])


def _open_sentence(each: PairedDifference) -> str:
    figures = "" if each.evidence.distrust else f" By {each.title} the difference is {each.figures}."
    return f"Cannot tell whether {each.other} is better or worse than {each.first}: {each.lack}.{figures}"
