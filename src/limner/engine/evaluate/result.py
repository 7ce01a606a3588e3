"""What came of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from limner.core.influence import Influence
from limner.core.metrics import ImageSet, MetricResult, ScoredImage
from limner.core.requests import EvaluateRequest, Requirement
from limner.core.requests.evaluate import DRIFT, MISTAKEN
from limner.engine.evaluate.group_scores import Served

RANKED_BY = ("subject_fidelity", "prompt_fidelity", "preference", "aesthetic", "sharpness")
"""Metrics of single pictures by which the best and the worst are told, the first that was asked for."""
CHECKLIST = {
    "relevance": ("prompt_fidelity", "preference", "subject_fidelity", "class_drift"),
    "aesthetics": ("aesthetic", "saturation", "clipping"),
    "detail": ("sharpness", "edge_density", "frequency"),
    "uniqueness": ("diversity", "uniqueness", "memorisation", "fid", "kid"),
}
"""What people look for in pictures, and the metrics that speak of it."""


@dataclass(frozen=True)
class Evaluated:
    """What came of an evaluation. gallery: the pictures, with prompts as encoders are told them, and what they were
    compared with. plain: those of plain class prompts. subject, words: the subject in the prompts, and in plain words.
    served: how groups were served. learnt: what the training pictures did. Either is None where it was not asked for.
    """

    request: EvaluateRequest
    name: str
    subject: str
    words: str
    gallery: ImageSet
    plain: ImageSet | None
    scores: Mapping[str, MetricResult]
    served: Served | None = None
    learnt: Influence | None = None

    @property
    def ranked(self) -> tuple[str, list[int]] | None:
        """A metric of single pictures, and the pictures' indices from the best to the worst by it."""
        name = next((name for wanted in RANKED_BY for name in self.scores if name.split("=")[0] == wanted), None)
        if name is None:
            return None
        values = np.asarray(self.scores[name].values)
        return name, np.argsort(-values, kind="stable").tolist()

    @property
    def by_picture(self) -> dict[str, MetricResult]:
        """The scores that are of single pictures, a value for each."""
        return {
            name: score
            for name, score in self.scores.items()
            if score.unit == "picture" and name.split("=")[0] != DRIFT
        }

    @property
    def checklist(self) -> dict[str, list[MetricResult]]:
        """The scores by what they speak of."""
        found = {
            title: [score for name, score in self.scores.items() if name.split("=")[0] in metrics]
            for title, metrics in CHECKLIST.items()
        }
        told = {score.metric for scores in found.values() for score in scores}
        others = [score for name, score in self.scores.items() if name not in told]
        return {title: scores for title, scores in {**found, "others": others}.items() if scores}

    @property
    def requirements(self) -> list[tuple[Requirement, float, bool]]:
        """What was required, the mean or what else it is about, and whether it is met."""
        means = [(wanted, self._value(wanted)) for wanted in self.request.require]
        return [(wanted, mean, wanted.met(mean)) for wanted, mean in means]

    def _value(self, wanted: Requirement) -> float:
        if self.served is not None and (wanted.of_gap or wanted.of == MISTAKEN):
            return self.served.value(wanted)
        return self.scores[wanted.of].mean

    @property
    def passed(self) -> bool:
        return all(met for _, _, met in self.requirements)

    @property
    def verdict(self) -> str:
        """One plain sentence."""
        told = [f"{score.title} {_figures(score)}" for score in list(self.scores.values())[:3]]
        count = len(self.gallery.items)
        said = f"{self.name}: {', '.join(told)}, over {count} picture{'s' if count > 1 else ''}."
        if self.served is not None:
            said += f" {self.served.verdict}"
        if not self.request.require:
            return said
        missed = [f"{wanted} (it is {mean:.3f})" for wanted, mean, met in self.requirements if not met]
        return f"{said} " + (f"Not met: {', '.join(missed)}." if missed else "All that was required is met.")

    def cells(self) -> dict[str, list[Path]]:
        """The pictures of each group, in order."""
        found: dict[str, list[Path]] = {}
        for item in self.gallery.items:
            found.setdefault(item.group, []).append(item.picture)
        return found


def _figures(score: MetricResult) -> str:
    return f"{score.mean:.3f} [{score.low:.3f}, {score.high:.3f}]" if np.isfinite(score.low) else f"{score.mean:.3f}"


def items_of(pictures: Sequence[Path], prompt: str, group: str) -> tuple[ScoredImage, ...]:
    return tuple(ScoredImage(picture, prompt, group) for picture in pictures)
