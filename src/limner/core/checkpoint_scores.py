"""How far a model had come at each checkpoint, as it is told and kept."""

from __future__ import annotations

from statistics import fmean

from limner.core.requests import Frozen

LEAST = 0.02
"""The least distance between two ends of a scale, in cosine; below it an encoder tells them apart by chance."""


class StepScores(Frozen):
    """The scores of a step's pictures, one for each prompt: cosine to the photographs, and to the prompt's words."""

    step: int
    subject: tuple[float, ...]
    prompt: tuple[float, ...]


class CheckpointScores(Frozen):
    """A model's standings, and the scales on which they are weighed.

    prompts: as they are painted. encoder: what scored. weight: of the subject against the prompt, 0 to 1. base: the
    model before, asked for the class alone. alike: mean cosine between two of the photographs. strange: mean cosine
    between pictures of the base and prompts that they were not painted from.
    """

    prompts: tuple[str, ...]
    encoder: str
    weight: float
    alike: float
    strange: float
    base: StepScores
    after: tuple[StepScores, ...] = ()

    def likeness(self, standing: StepScores) -> float:
        """How much of the way to the photographs' likeness to each other is gone: 0 the base model, 1 all of it."""
        start = fmean(self.base.subject)
        return (fmean(standing.subject) - start) / max(self.alike - start, LEAST)

    def obedience(self, standing: StepScores) -> float:
        """How well prompts are still followed: 1 as by the base model, 0 as if they were exchanged for others."""
        return (fmean(standing.prompt) - self.strange) / max(fmean(self.base.prompt) - self.strange, LEAST)

    def balance(self, standing: StepScores) -> float:
        """Likeness and obedience, weighed."""
        return self.weight * self.likeness(standing) + (1 - self.weight) * self.obedience(standing)

    @property
    def best(self) -> StepScores:
        """The standing of the highest balance, the earliest of equal ones; the base is none of them."""
        return max(self.after, key=self.balance)

    @property
    def waited(self) -> int:
        """How many standings came after the best."""
        return len(self.after) - 1 - self.after.index(self.best) if self.after else 0

    @property
    def blind(self) -> bool:
        """Whether the encoder hardly tells the base model's pictures from those of other prompts."""
        return fmean(self.base.prompt) - self.strange < LEAST

    def to(self, step: int) -> CheckpointScores:
        """Those up to a step."""
        return self.model_copy(update={"after": tuple(each for each in self.after if each.step <= step)})

    def plus(self, standing: StepScores) -> CheckpointScores:
        return self.model_copy(update={"after": (*self.after, standing)})
