"""Streams of encoded images: which are shown in a step, and the model's errors on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from limner.core.protocols import Teacher
from limner.engine.train.batches import BucketSchedule, generator_for, order
from limner.engine.train.denoising import BatchSelection, Denoising
from limner.engine.train.examples import Examples

TeacherOf = Callable[[BatchSelection], Teacher | None]
"""Returns the teacher whose predictions are the targets of some images; None where the noise is."""


def no_teacher(picks: BatchSelection) -> None:
    """Return None: the noise is the target."""


class ImageStream:
    """Batches of encoded images of one size at a time; an image comes as often as its weight's share.

    sets: one for each image size. purpose: part of what is drawn depends on it, such as the order.
    """

    def __init__(self, sets: Sequence[Examples], batch: int, seed: int, purpose: str) -> None:
        self.sets, self.batch, self.seed, self.purpose = sets, batch, seed, purpose
        self._buckets = BucketSchedule([sum(each.weights or [1.0] * len(each)) for each in sets], seed)

    def errors(self, denoising: Denoising, step: int, teacher_of: TeacherOf = no_teacher) -> torch.Tensor:
        """The errors (n,) of a step's images."""
        bucket, turn = self._buckets.at(step)
        examples = self.sets[bucket]
        rows = order(len(examples), self.batch, turn, self.seed, examples.weights)
        rng = generator_for(self.seed, f"{self.purpose} noise", step)
        return errors_of(denoising, examples, rows, rng, teacher_of)


def errors_of(
    denoising: Denoising,
    examples: Examples,
    rows: list[int],
    rng: torch.Generator,
    teacher_of: TeacherOf = no_teacher,
) -> torch.Tensor:
    """The errors (n,) of some images, each in a view that is drawn, at noise that is drawn."""
    views = torch.randint(examples.latents.shape[1], (len(rows),), generator=rng).tolist()
    draw = denoising.draw(examples, len(rows), rng)
    picks = BatchSelection(examples, rows, views, examples.captions_for(rows), draw)
    return denoising.errors([picks], teacher_of(picks))
