"""The result of an evaluation: images, scores, requirements and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from limner.core.influence import Influence
from limner.core.metrics import ImageSet, MetricResult
from limner.core.requests import EvaluateRequest, Requirement
from limner.core.requests.evaluate import DRIFT, MISTAKEN
from limner.engine.evaluate.group_fairness import GroupFairness

RANKED_BY = ("subject_fidelity", "prompt_fidelity", "preference", "aesthetic", "sharpness")
"""Metrics by which images are ranked: the first of these that was measured."""
CHECKLIST = {
    "relevance": ("prompt_fidelity", "preference", "subject_fidelity", "class_drift"),
    "aesthetics": ("aesthetic", "saturation", "clipping"),
    "detail": ("sharpness", "edge_density", "frequency"),
    "uniqueness": ("diversity", "uniqueness", "memorisation", "fid", "kid"),
}
"""Qualities of images, and the metrics that measure each."""


@dataclass(frozen=True)
class EvaluationResult:
    """name: of the target. subject: what {} in a prompt stands for. gallery: the images, with prompts for encoders.

    class_gallery: images of the class alone, None where class drift was not measured. groups, training: group fairness
    and the influence of the training images, None where they were not measured.
    """

    request: EvaluateRequest
    name: str
    subject: str
    gallery: ImageSet
    scores: Mapping[str, MetricResult]
    class_gallery: ImageSet | None = None
    groups: GroupFairness | None = None
    training: Influence | None = None

    @property
    def ranked(self) -> tuple[str, list[int]] | None:
        """A metric of single images, and the indices of the images from the highest to the lowest by it.

        Each image counts relative to the mean of its prompt: otherwise the images in the places of the photos would
        come first, because their backgrounds are similar.
        """
        name = next((name for wanted in RANKED_BY for name in self.scores if name.split("=")[0] == wanted), None)
        if name is None:
            return None
        values = np.asarray(self.scores[name].values)
        groups = list(self.gallery.groups.values())
        if any(len(rows) > 1 for rows in groups):
            for rows in groups:
                values[rows] -= values[rows].mean()
        return name, np.argsort(-values, kind="stable").tolist()

    @property
    def image_scores(self) -> dict[str, MetricResult]:
        """The scores with a value for each image."""
        return {
            name: score
            for name, score in self.scores.items()
            if score.unit == "picture" and name.split("=")[0] != DRIFT
        }

    @property
    def checklist(self) -> dict[str, list[MetricResult]]:
        """The scores by the quality that they measure."""
        found = {
            title: [score for name, score in self.scores.items() if name.split("=")[0] in metrics]
            for title, metrics in CHECKLIST.items()
        }
        listed = {score.metric for scores in found.values() for score in scores}
        others = [score for name, score in self.scores.items() if name not in listed]
        return {title: scores for title, scores in {**found, "others": others}.items() if scores}

    @property
    def requirements(self) -> list[tuple[Requirement, float, bool]]:
        """Each requirement, the value that it is about, and whether it is met."""
        values = [(requirement, self._value(requirement)) for requirement in self.request.require]
        return [(requirement, value, requirement.met(value)) for requirement, value in values]

    def _value(self, requirement: Requirement) -> float:
        if self.groups is not None and (requirement.of_gap or requirement.of == MISTAKEN):
            return self.groups.value(requirement)
        return self.scores[requirement.of].mean

    @property
    def passed(self) -> bool:
        """Whether all requirements are met."""
        return all(met for _, _, met in self.requirements)

    @property
    def verdict(self) -> str:
        """The first scores, group fairness and unmet requirements, in plain sentences."""
        scores = [f"{score.title} {_figures(score)}" for score in list(self.scores.values())[:3]]
        count = len(self.gallery.items)
        sentences = [f"{self.name}: {', '.join(scores)}, over {count} image{'s' if count > 1 else ''}."]
        if self.groups is not None:
            sentences.append(self.groups.verdict)
        if self.request.require:
            missed = [f"{requirement} (it is {value:.3f})" for requirement, value, met in self.requirements if not met]
            sentences.append(f"Not met: {', '.join(missed)}." if missed else "All requirements are met.")
        return " ".join(sentences)

    def images_by_prompt(self) -> dict[str, list[Path]]:
        """The images of each prompt, in order."""
        found: dict[str, list[Path]] = {}
        for item in self.gallery.items:
            found.setdefault(item.group, []).append(item.path)
        return found


def _figures(score: MetricResult) -> str:
    return f"{score.mean:.3f} [{score.low:.3f}, {score.high:.3f}]" if np.isfinite(score.low) else f"{score.mean:.3f}"
