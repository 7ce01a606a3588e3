"""Scores of a training run's checkpoints, as standings.json and reports hold them."""

from __future__ import annotations

from math import sqrt
from statistics import fmean, stdev

from pydantic import AliasChoices, Field

from limner.core.requests import Frozen

MIN_RANGE = 0.02
"""The least distance between the ends of a scale, in cosine; below it an encoder distinguishes them by chance only."""


class StepScores(Frozen):
    """The scores of a step, one for each prompt: cosine of its image to the training images, and to the prompt."""

    step: int
    subject: tuple[float, ...]
    prompt: tuple[float, ...]


class CheckpointScores(Frozen):
    """The scores of a run, and the ends of the scales that they are put on.

    prompts: of the scored images. encoder: which scored them. weight: of the subject against the prompt, 0 to 1. base:
    scores of the base model, for the class alone. training_similarity: mean cosine between two training images.
    unrelated_similarity: mean cosine between images of the base model and the prompts of other images. after: scores
    of the checkpoints, in order.
    """

    prompts: tuple[str, ...]
    encoder: str
    weight: float
    training_similarity: float = Field(validation_alias=AliasChoices("training_similarity", "alike"))
    unrelated_similarity: float = Field(validation_alias=AliasChoices("unrelated_similarity", "strange"))
    base: StepScores
    after: tuple[StepScores, ...] = ()

    def scaled_subject(self, scores: StepScores) -> float:
        """Subject fidelity between the base model's (0) and that of the training images to each other (1)."""
        start = fmean(self.base.subject)
        return (fmean(scores.subject) - start) / max(self.training_similarity - start, MIN_RANGE)

    def scaled_prompt(self, scores: StepScores) -> float:
        """Prompt fidelity between that of images to prompts of others (0) and the base model's (1)."""
        start = self.unrelated_similarity
        return (fmean(scores.prompt) - start) / max(fmean(self.base.prompt) - start, MIN_RANGE)

    def balance(self, scores: StepScores) -> float:
        """The weighted mean of the two scaled scores."""
        return self.weight * self.scaled_subject(scores) + (1 - self.weight) * self.scaled_prompt(scores)

    @property
    def best(self) -> StepScores:
        """The checkpoint of the highest balance, the earliest of equal ones."""
        return max(self.after, key=self.balance)

    @property
    def next_best(self) -> StepScores | None:
        """The checkpoint of the second highest balance; None where there is one checkpoint at most."""
        others = [each for each in self.after if each.step != self.best.step] if self.after else []
        return max(others, key=self.balance, default=None)

    def differ(self, one: StepScores, other: StepScores) -> bool:
        """Whether two checkpoints differ in balance by more than twice the standard error over the prompts.

        Prompts are paired. With fewer than two of them there is no error to compare with, so they do not.
        """
        gaps = [
            self.balance(StepScores(step=one.step, subject=(a,), prompt=(b,)))
            - self.balance(StepScores(step=other.step, subject=(c,), prompt=(d,)))
            for a, b, c, d in zip(one.subject, one.prompt, other.subject, other.prompt, strict=False)
        ]
        return len(gaps) > 1 and abs(fmean(gaps)) > 2 * stdev(gaps) / sqrt(len(gaps))

    @property
    def checkpoints_since_best(self) -> int:
        """How many checkpoints came after the best."""
        return len(self.after) - 1 - self.after.index(self.best) if self.after else 0

    @property
    def blind(self) -> bool:
        """Whether the encoder hardly distinguishes the base model's images of these prompts from those of others."""
        return fmean(self.base.prompt) - self.unrelated_similarity < MIN_RANGE

    def to(self, step: int) -> CheckpointScores:
        """The scores up to a step."""
        return self.model_copy(update={"after": tuple(each for each in self.after if each.step <= step)})

    def plus(self, scores: StepScores) -> CheckpointScores:
        """These scores with those of another checkpoint."""
        return self.model_copy(update={"after": (*self.after, scores)})
