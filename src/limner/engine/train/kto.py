"""The lesson of single ratings: Diffusion-KTO (Li et al. 2024, arXiv 2404.04465)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from limner.core.protocols import NoiseDraw
from limner.engine.train.batches import BucketSchedule, generator_for, order
from limner.engine.train.denoising import BatchSelection, Denoising
from limner.engine.train.feedback_images import FeedbackImages, own_noise
from limner.engine.train.lesson import mean_loss
from limner.engine.train.noise_levels import within
from limner.engine.train.preference import RewardSettings
from limner.engine.train.reference import Reference


@dataclass(frozen=True)
class RatedSet:
    """Rated images of one size. rated: indices of images, n. signs: (n,), 1 for liked and -1 for disliked ones.
    weights: (n,). levels: (n, 2), as of a PairSet.
    """

    images: FeedbackImages
    rated: tuple[int, ...]
    signs: torch.Tensor
    weights: torch.Tensor
    levels: torch.Tensor

    def __len__(self) -> int:
        return len(self.rated)


def kto_losses(
    errors: torch.Tensor, reference: torch.Tensor, signs: torch.Tensor, settings: RewardSettings
) -> torch.Tensor:
    """The loss of each image of a batch, (n,): 1 - U, plus the anchor on liked images.

    U is the sigmoid of the reward's distance from the batch's mean reward, if that is above 0, in the direction of the
    sign (section 4; the utility of Kahneman and Tversky). The mean has no gradient.
    """
    rewards = settings.beta * (reference - errors)
    baseline = rewards.detach().mean().clamp(min=0)
    log_odds = (signs * (rewards - baseline)).clamp(max=settings.margin)
    return 1 - torch.sigmoid(log_odds) + settings.anchor * settings.beta * errors * (signs > 0)


@dataclass
class KtoLesson:
    """The mean of the weighted losses of a batch of rated images.

    ratings, held_out: one set for each image size. Every batch holds images of one size. own_noise: each image has the
    noise that it was generated from, where it is known.
    """

    denoising: Denoising
    reference: Reference
    ratings: Sequence[RatedSet]
    held_out: Sequence[RatedSet]
    settings: RewardSettings
    batch: int
    seed: int
    own_noise: bool = False

    def __post_init__(self) -> None:
        self._buckets = BucketSchedule([len(each) for each in self.ratings], self.seed)

    @property
    def images(self) -> int:
        return self.batch

    def losses(self, step: int) -> Iterator[torch.Tensor]:
        """The loss of a step, in one part, because the baseline is that of the whole batch."""
        bucket, turn = self._buckets.at(step)
        rated = self.ratings[bucket]
        rows = order(len(rated), self.batch, turn, self.seed)
        values = self._losses(rated, rows, generator_for(self.seed, "noise", step))
        yield (rated.weights[rows].to(values) * values).mean()

    def held_out_loss(self) -> float | None:
        """The mean loss on the held-out images, at the same noise every time; None where there are none."""
        return mean_loss(self.held_out, self.batch, self.seed, self._losses)

    def _losses(self, rated: RatedSet, rows: list[int], rng: torch.Generator) -> torch.Tensor:
        examples, places = rated.images.examples, [rated.rated[row] for row in rows]
        draw = self.denoising.draw(examples, len(rows), rng)
        noise = own_noise(rated.images, [places], draw.noise)[0] if self.own_noise else draw.noise
        draw = NoiseDraw(noise, within(draw.timesteps, rated.levels[rows], self.denoising.timesteps))
        groups = [BatchSelection(examples, places, [0] * len(rows), examples.captions_for(places), draw)]
        reference = self.reference.errors(self.denoising, groups)
        errors = self.denoising.errors(groups)
        return kto_losses(errors, reference, rated.signs[rows].to(errors), self.settings)
