"""The lesson of liked images: denoise images with 4 and 5 stars, together with the original photographs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from limner.engine.train.denoising import Denoising
from limner.engine.train.examples import Examples
from limner.engine.train.lesson import mean_loss
from limner.engine.train.streams import ImageStream, errors_of


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
