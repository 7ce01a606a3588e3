"""Pairs of judged images, and how a model's denoising errors on them differ from the reference model's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from limner.core.protocols import NoiseDraw
from limner.engine.train.batches import generator_for
from limner.engine.train.denoising import BatchSelection, Denoising
from limner.engine.train.feedback_images import FeedbackImages, own_noise
from limner.engine.train.noise_levels import evenly, within
from limner.engine.train.reference import Reference

ROUNDS = 8
"""How many timesteps measure a pair."""
CHOICE = 8
"""How many timesteps are drawn for each that measures."""


@dataclass(frozen=True)
class PairSet:
    """Pairs of judged images of one size. better, worse: indices of images, n each. weights: (n,). levels: (n, 2), the
    range of noise levels at which each pair is compared, from 0 (clean) to 1 (noise).
    """

    images: FeedbackImages
    better: tuple[int, ...]
    worse: tuple[int, ...]
    weights: torch.Tensor
    levels: torch.Tensor

    def __len__(self) -> int:
        return len(self.better)


def margins(errors: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """How much further the model's error fell on the better image than on the worse one, (n,).

    errors, reference: of the model and of the reference model, (2, n), the better images first. This is the difference
    of the implicit rewards of Wallace et al. 2023 (arXiv 2311.12908) for beta 1.
    """
    fallen = reference - errors
    return fallen[0] - fallen[1]


def accuracy(found: Sequence[float]) -> float:
    """The share of pairs whose margin is positive: the model prefers what people preferred."""
    return sum(margin > 0 for margin in found) / len(found)


@dataclass(frozen=True)
class PairErrors:
    """Denoising errors of a model and its reference model on pairs.

    Both images of a pair have the same timestep, and the same noise. own_noise: where the noise is known that both were
    generated from, each has its own (arXiv 2605.09433). together: most pairs that are measured together.
    """

    denoising: Denoising
    reference: Reference
    seed: int
    own_noise: bool = False
    together: int = 4

    def of(self, pairs: PairSet, rows: list[int], draw: NoiseDraw) -> tuple[torch.Tensor, torch.Tensor]:
        """Errors of the model and of the reference model on some pairs, (2, n) each, the better images first.

        draw: noise and timesteps of the pairs, from the whole schedule.
        """
        groups = self._groups(pairs, rows, draw)
        reference = self.reference.errors(self.denoising, groups)
        return self.denoising.errors(groups).unflatten(0, (2, -1)), reference.unflatten(0, (2, -1))

    @torch.no_grad()
    def margins(self, sets: Sequence[PairSet], on_done: Callable[[int], None] = lambda done: None) -> list[float]:
        """The margin of each pair in order, the mean over timesteps and noise that are the same at every call.

        Always at the noise that images were generated from, where it is known (arXiv 2605.09433). On the starter, it is
        worse to learn at, and orders 321 of 449 held-out pairs as people do; new noise orders 306.
        on_done: called with the number of pairs that are measured.
        """
        found, own = list[float](), replace(self, own_noise=True)
        for pairs in sets:
            rng = generator_for(self.seed, "watch", 0)
            draw = evenly(self.denoising.draw(pairs.images.examples, ROUNDS * CHOICE, rng), ROUNDS)
            for start in range(0, len(pairs), self.together):
                rows = list(range(len(pairs)))[start : start + self.together]
                found += own._mean_margins(pairs, rows, draw).tolist()
                on_done(len(found))
        return found

    def _mean_margins(self, pairs: PairSet, rows: list[int], draw: NoiseDraw) -> torch.Tensor:
        total = torch.zeros(len(rows))
        for index in range(ROUNDS):
            same = [index] * len(rows)
            total += margins(*self.of(pairs, rows, NoiseDraw(draw.noise[same], draw.timesteps[same]))).cpu()
        return total / ROUNDS

    def _groups(self, pairs: PairSet, rows: list[int], draw: NoiseDraw) -> list[BatchSelection]:
        """The better and the worse images of some pairs, with their noise and timesteps."""
        examples = pairs.images.examples
        places = [[pairs.better[row] for row in rows], [pairs.worse[row] for row in rows]]
        timesteps = within(draw.timesteps, pairs.levels[rows], self.denoising.timesteps)
        noise = own_noise(pairs.images, places, draw.noise) if self.own_noise else [draw.noise, draw.noise]
        return [
            BatchSelection(examples, group, [0] * len(group), examples.captions_for(group), NoiseDraw(own, timesteps))
            for group, own in zip(places, noise, strict=True)
        ]
