"""The protocol of a lesson: what one training step compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Protocol, TypeVar

import torch

from limner.engine.train.batches import generator_for

ROUNDS = 4
"""How often `mean_loss` draws noise for every image."""
Images = TypeVar("Images", bound=Sized)


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


@torch.no_grad()
def mean_loss(
    sets: Sequence[Images], batch: int, seed: int, losses: Callable[[Images, list[int], torch.Generator], torch.Tensor]
) -> float | None:
    """The mean loss of all images of some sets, at the same noise at every call; None where there are none.

    batch: most images that are measured together. losses: of some images of a set, (n,).
    """
    if not sets:
        return None
    total = 0.0
    for index in range(ROUNDS):
        rng = generator_for(seed, "watch", index)
        for images in sets:
            every = list(range(len(images)))
            for start in range(0, len(every), batch):
                total += losses(images, every[start : start + batch], rng).sum().item()
    return total / (ROUNDS * sum(map(len, sets)))
