"""Reading answers with the judge, and counting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from limner.starter.exam.prompts import ExamPrompt
from limner.starter.judge import Judge


@dataclass(frozen=True)
class Proportion:
    """How many of how many were right."""

    right: int
    count: int

    @classmethod
    def of(cls, values: Iterable[bool]) -> Proportion:
        values = list(values)
        return cls(sum(values), len(values))

    @property
    def value(self) -> float:
        return self.right / self.count if self.count else float("nan")

    @property
    def error(self) -> float:
        """Half of the 95% interval of a binomial share (Agresti & Coull 1998)."""
        n = self.count + 4
        share = (self.right + 2) / n
        return 1.96 * (share * (1 - share) / n) ** 0.5


@dataclass(frozen=True)
class ExamResult:
    """What the judge found. verdicts: for each question, whether each attribute asked for is there."""

    questions: tuple[ExamPrompt, ...]
    verdicts: tuple[dict[str, bool], ...]

    @property
    def attributes(self) -> dict[str, Proportion]:
        names = dict.fromkeys(name for verdict in self.verdicts for name in verdict)
        return {name: Proportion.of(v[name] for v in self.verdicts if name in v) for name in names}

    @property
    def mean(self) -> float:
        """Mean over the attributes of their shares."""
        return float(np.mean([share.value for share in self.attributes.values()]))

    @property
    def all_right(self) -> Proportion:
        return Proportion.of(all(verdict.values()) for verdict in self.verdicts)

    @property
    def kinds(self) -> dict[str, Proportion]:
        """Share of pictures in which all is right, by kind of question."""
        names = dict.fromkeys(question.kind for question in self.questions)
        pairs = list(zip(self.questions, self.verdicts, strict=True))
        return {name: Proportion.of(all(v.values()) for q, v in pairs if q.kind == name) for name in names}

    def told(self) -> dict[str, object]:
        """Plain values for JSON: shares with the counts behind them."""

        def readable(share: Proportion) -> dict[str, float]:
            return {"right": share.right, "count": share.count, "share": round(share.value, 4)}

        return {
            "mean per attribute": round(self.mean, 4),
            "all right": readable(self.all_right),
            "attributes": {name: readable(share) for name, share in self.attributes.items()},
            "all right by kind": {name: readable(share) for name, share in self.kinds.items()},
        }


def score_images(judge: Judge, questions: Sequence[ExamPrompt], pixels: np.ndarray) -> ExamResult:
    """Read the answers (n, 128, 128, 3); an attribute is there when the judge finds it more likely than not."""
    readings = judge.read(pixels)
    verdicts = tuple(
        {name: readings.shows(index, name, value) for name, value in question.wanted.items()}
        for index, question in enumerate(questions)
    )
    return ExamResult(tuple(questions), verdicts)
