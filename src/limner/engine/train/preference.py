"""The preference lesson: Diffusion-DPO (Wallace et al. 2023, arXiv 2311.12908)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from limner.engine.train.batches import BucketSchedule, generator_for, order
from limner.engine.train.pairs import PairErrors, PairSet, margins


@dataclass(frozen=True)
class RewardSettings:
    """beta: strength of the reference model. margin: log-odds from which on an image or a pair is left alone. anchor:
    weight of the denoising loss on preferred images, as a share of beta.
    """

    beta: float
    margin: float
    anchor: float


def preference_losses(errors: torch.Tensor, reference: torch.Tensor, settings: RewardSettings) -> torch.Tensor:
    """The loss of each pair, (n,): equation 14 with mean squared errors and limited log-odds, plus the anchor.

    errors, reference: as `margins` has them. Without the upper limit, the error on worse images may grow without end.
    Without the lower one, mistaken answers would soon be the only ones with a gradient.
    """
    log_odds = limited(settings.beta * margins(errors, reference), settings)
    return settings.anchor * settings.beta * errors[0] - F.logsigmoid(log_odds)


def limited(log_odds: torch.Tensor, settings: RewardSettings) -> torch.Tensor:
    """Log-odds within the margin on either side, beyond which they have no gradient."""
    return log_odds.clamp(-settings.margin, settings.margin)


@dataclass
class PreferenceLesson:
    """The mean of the weighted preference losses of a batch of pairs.

    pairs, held_out: one set for each image size. Every batch holds pairs of one size.
    """

    compared: PairErrors
    pairs: Sequence[PairSet]
    held_out: Sequence[PairSet]
    settings: RewardSettings
    batch: int

    def __post_init__(self) -> None:
        self._buckets = BucketSchedule([len(each) for each in self.pairs], self.compared.seed)

    @property
    def images(self) -> int:
        return 2 * self.batch

    def losses(self, step: int) -> Iterator[torch.Tensor]:
        """The loss of a step, in one part."""
        seed = self.compared.seed
        bucket, turn = self._buckets.at(step)
        pairs = self.pairs[bucket]
        rows = order(len(pairs), self.batch, turn, seed)
        rng = generator_for(seed, "noise", step)
        draw = self.compared.denoising.draw(pairs.images.examples, len(rows), rng)
        values = preference_losses(*self.compared.of(pairs, rows, draw), self.settings)
        yield (pairs.weights[rows].to(values) * values).mean()

    def held_out_loss(self) -> float | None:
        """The mean loss on the held-out pairs at their mean margins, without the anchor; None where there are none."""
        found = self.compared.margins(self.held_out)
        if not found:
            return None
        log_odds = limited(self.settings.beta * torch.tensor(found), self.settings)
        return -F.logsigmoid(log_odds).mean().item()
