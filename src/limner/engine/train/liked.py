"""The lesson of liked images: denoise images with 4 and 5 stars, together with the original photographs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from limner.engine.train.batches import BucketSchedule, generator_for, order
from limner.engine.train.denoising import BatchSelection, Denoising
from limner.engine.train.examples import Examples
from limner.engine.train.lesson import mean_loss


class ImageStream:
    """Batches of encoded images of one size at a time; an image comes as often as its weight's share.

    sets: one for each image size. purpose: part of what is drawn depends on it, such as the order.
    """

    def __init__(self, sets: Sequence[Examples], batch: int, seed: int, purpose: str) -> None:
        self.sets, self.batch, self.seed, self.purpose = sets, batch, seed, purpose
        self._buckets = BucketSchedule([sum(each.weights or [1.0] * len(each)) for each in sets], seed)

    def errors(self, denoising: Denoising, step: int) -> torch.Tensor:
        """The errors (n,) of a step's images."""
        bucket, turn = self._buckets.at(step)
        examples = self.sets[bucket]
        rows = order(len(examples), self.batch, turn, self.seed, examples.weights)
        rng = generator_for(self.seed, f"{self.purpose} noise", step)
        return errors_of(denoising, examples, rows, rng)


def errors_of(denoising: Denoising, examples: Examples, rows: list[int], rng: torch.Generator) -> torch.Tensor:
    """The errors (n,) of some images, each in a view that is drawn, at noise that is drawn."""
    views = torch.randint(examples.latents.shape[1], (len(rows),), generator=rng).tolist()
    draw = denoising.draw(examples, len(rows), rng)
    return denoising.errors([BatchSelection(examples, rows, views, examples.captions_for(rows), draw)])


@dataclass
class RatedLesson:
    """The mean denoising loss of a batch of liked images, plus the weighted mean loss of as many photographs.

    liked: with the stars as weights, which say how often an image is shown. photographs: those that the original was
    trained on, so that the subject stays as it is; may be empty. share: weight of their loss. held_out: liked images.
    All have one set for each image size.
    """

    denoising: Denoising
    liked: Sequence[Examples]
    photographs: Sequence[Examples]
    held_out: Sequence[Examples]
    batch: int
    seed: int
    share: float = 1.0

    def __post_init__(self) -> None:
        kinds = [(self.liked, "liked", 1.0), (self.photographs, "photographs", self.share)]
        self._streams = [
            (ImageStream(sets, self.batch, self.seed, purpose), weight) for sets, purpose, weight in kinds if sets
        ]

    @property
    def images(self) -> int:
        return self.batch * len(self._streams)

    def losses(self, step: int) -> Iterator[torch.Tensor]:
        """The loss of a step: a part for the liked images, and one for the photographs."""
        for stream, weight in self._streams:
            yield weight * stream.errors(self.denoising, step).mean()

    def held_out_loss(self) -> float | None:
        """The mean loss on held-out liked images, at the same noise every time; None where there are none."""
        return mean_loss(self.held_out, self.batch, self.seed, partial(errors_of, self.denoising))
