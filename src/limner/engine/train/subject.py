"""The subject lesson: denoise the subject's images, and keep the class by prior preservation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from limner.core.protocols import Components, Family, NoiseDraw, Teacher, Trainable
from limner.core.requests import TrainRequest
from limner.engine.train.batches import BucketSchedule, generator_for, order
from limner.engine.train.denoising import BatchSelection, Denoising, alike
from limner.engine.train.examples import Examples
from limner.engine.train.lesson import mean_loss
from limner.engine.train.plan import TrainPlan
from limner.engine.train.processes import ALONE, ProcessGroup

# The names given to generator_for ("views, told", "watch" ...) decide what is drawn: a new name changes every run.


@dataclass
class SubjectLesson:
    """The mean denoising loss of a batch of the subject, plus the weighted mean loss of as many class images.

    This is DreamBooth (Ruiz et al. 2022, arXiv 2208.12242); without `prior` it is plain fine-tuning. subject, held_out:
    encoded images, one set for each image size. Every batch holds images of one size. Class images are squares; where
    the subject's have another size, both go through the model one after the other.
    """

    request: TrainRequest
    plan: TrainPlan
    family: Family
    components: Components
    trainable: Trainable
    subject: Sequence[Examples]
    prior: Examples | None = None
    held_out: Sequence[Examples] = ()
    autocast: torch.dtype | None = None
    trains_text: bool = False
    processes: ProcessGroup = ALONE

    def __post_init__(self) -> None:
        self._buckets = BucketSchedule(
            [sum(each.weights or [1.0] * len(each)) for each in self.subject], self.request.seed
        )
        self._denoising = Denoising(self.family, self.components, self.plan.objective, self.autocast, self.trains_text)

    @property
    def images(self) -> int:
        return self.plan.batch * (1 if self.prior is None else 2)

    def losses(self, step: int) -> Iterator[torch.Tensor]:
        """The loss of a step in parts. All noise is drawn at once, so that it does not depend on the parts."""
        size, parts = self.plan.batch, self.request.accumulation * self.processes.count
        bucket, turn = self._buckets.at(step)
        groups = [self._pick(self.subject[bucket], turn, step, "views", self.request.caption_dropout)]
        if self.prior is not None:
            groups.append(self._pick(self.prior, step, step, "class views", self.plan.prior_dropout))
        groups = self._with_noise(groups, step)
        for index in range(self.processes.index, parts, self.processes.count):
            part = slice(index * size // parts, (index + 1) * size // parts)
            yield self._loss([group[part] for group in groups]) / parts

    def held_out_loss(self) -> float | None:
        """The mean loss on the held-out images, at the same noise every time; None where no image is held out."""
        together = max(map(len, self.held_out), default=1)
        return mean_loss(self.held_out, together, self.request.seed, self._held_out_errors)

    def _held_out_errors(self, examples: Examples, rows: list[int], rng: torch.Generator) -> torch.Tensor:
        draw = self._denoising.draw(examples, len(rows), rng)
        picks = BatchSelection(examples, rows, [0] * len(rows), examples.captions_for(rows), draw)
        return self._denoising.errors([picks])

    def _pick(self, examples: Examples, turn: int, step: int, purpose: str, dropout: float) -> BatchSelection:
        """A step's images of a set that was drawn from `turn` times before; a share of the captions is dropped."""
        seed = self.request.seed
        indices = order(len(examples), self.plan.batch, turn, seed, examples.weights)
        rng = generator_for(seed, purpose, step)
        views = torch.randint(examples.latents.shape[1], (len(indices),), generator=rng)
        dropped = None
        if dropout:
            chance = torch.rand(len(indices), generator=generator_for(seed, f"{purpose}, told", step))
            dropped = (chance < dropout).tolist()
        return BatchSelection(examples, indices, views.tolist(), examples.captions_for(indices, dropped))

    def _with_noise(self, groups: Sequence[BatchSelection], step: int) -> list[BatchSelection]:
        """The groups with noise and timesteps, which are drawn together for all groups of one size."""
        rng = generator_for(self.request.seed, "noise", step)
        if not alike(groups):
            return [replace(group, draw=self._denoising.draw(group.examples, len(group), rng)) for group in groups]
        draw = self._denoising.draw(groups[0].examples, sum(map(len, groups)), rng)
        counts = [len(group) for group in groups]
        rows = zip(draw.noise.split(counts), draw.timesteps.split(counts), strict=True)
        return [replace(group, draw=NoiseDraw(*row)) for group, row in zip(groups, rows, strict=True)]

    def _loss(self, groups: Sequence[BatchSelection]) -> torch.Tensor:
        """The subject's mean loss plus the weighted mean loss of the class images, for a part of the batch."""
        if alike(groups):
            values = self._errors(groups).split([len(group) for group in groups])
        else:
            values = [self._errors([group]) for group in groups]
        loss = values[0].mean()
        return loss if self.prior is None else loss + self.request.prior_weight * values[1].mean()

    def _errors(self, groups: Sequence[BatchSelection]) -> torch.Tensor:
        """The loss of each image, (n,), of groups that go through the model together.

        Class images may be compared with the base model's prediction on them.
        """
        teacher, last = None, groups[-1]
        if last.examples is self.prior and self.plan.prior_target == "model":
            teacher = Teacher(last.examples.text_of(last.captions), self.trainable.base_model)
        return self._denoising.errors(groups, teacher)
