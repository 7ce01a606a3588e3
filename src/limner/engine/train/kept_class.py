"""A lesson that leaves images of the class as they are, while the subject's change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from limner.core.protocols import Teacher
from limner.engine.train.denoising import BatchSelection, Denoising
from limner.engine.train.examples import Examples
from limner.engine.train.lesson import Lesson
from limner.engine.train.reference import Reference
from limner.engine.train.streams import ImageStream


@dataclass
class KeptClass:
    """A lesson, and a part that keeps what the model predicts for captions without the identifier.

    The target of that part is the reference model's prediction (knowledge distillation, Hinton et al. 2015, arXiv
    1503.02531), as prior preservation has it for a class (Ruiz et al. 2023, DreamBooth, arXiv 2208.12242). plain:
    judged images with such captions, one set for each image size. weight: of the part's mean loss.
    """

    lesson: Lesson
    denoising: Denoising
    reference: Reference
    plain: Sequence[Examples]
    weight: float
    batch: int
    seed: int

    def __post_init__(self) -> None:
        self._stream = ImageStream(self.plain, self.batch, self.seed, "class")

    @property
    def images(self) -> int:
        return self.lesson.images + self.batch

    def losses(self, step: int) -> Iterator[torch.Tensor]:
        """The loss of a step: the parts of the lesson, and one for the class."""
        yield from self.lesson.losses(step)
        yield self.weight * self._stream.errors(self.denoising, step, self._teacher).mean()

    def held_out_loss(self) -> float | None:
        """The lesson's own."""
        return self.lesson.held_out_loss()

    def _teacher(self, picks: BatchSelection) -> Teacher:
        with self.reference.applied():
            text = self.denoising.text(picks)
        return Teacher(text, self.reference.applied)
