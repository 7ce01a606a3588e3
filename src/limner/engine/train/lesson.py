"""The protocol of a lesson: what one training step compares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch


class Lesson(Protocol):
    """What one training step compares, such as the model's prediction with the noise of the subject's images.

    images: how many images go through the model in one step, over all processes.
    """

    @property
    def images(self) -> int: ...

    def losses(self, step: int) -> Iterator[torch.Tensor]:
        """The loss of a step (scalars), in the parts of the batch that are this process's.

        The sum over all parts of all processes is the loss of the whole batch. Everything random is a function of the
        seed and the step.
        """
        ...

    def held_out_loss(self) -> float | None:
        """The loss on images that are not trained on, at the same noise every time; None where there are none."""
        ...
