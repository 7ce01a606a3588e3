"""What moves the learnt tensors towards a picture: gradients over time steps, as features of the picture."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from limner.core.protocols import DEFAULT_LOSS, ZERO_TARGET, Components, Family, LossOptions, NoiseDraw, Trainable
from limner.engine.influence.projection import Projection
from limner.engine.train.examples import Examples
from limner.engine.train.loop import generator_for

TOGETHER = 8
"""Time steps that go through the model at once."""
CHOICE = 8
"""How many times are drawn for each that is taken."""


@dataclass
class Gradients:
    """Features of pictures: the gradient of an output of the model with respect to what was learnt, its mean over time
    steps and noise that are the same for all pictures.

    output: "loss", the one that was trained with, or "square", the mean square of the prediction, which Zheng et al.
    2024 (D-TRAK, arXiv 2311.00500) found to tell more; on the starter it did not (docs/influence.md). dimension: of a
    feature, where the gradient is longer.
    """

    family: Family
    components: Components
    trainable: Trainable
    objective: LossOptions
    output: str
    timesteps: int
    dimension: int
    seed: int
    autocast: torch.dtype | None = None
    trains_text: bool = False
    _draws: dict[torch.Size, NoiseDraw] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parameters = [tensor for group in self.trainable.groups().values() for tensor in group]
        self.project = Projection(sum(tensor.numel() for tensor in self.parameters), self.dimension, self.seed)

    def of(self, example: Examples) -> torch.Tensor:
        """The feature (k,) of one encoded picture, its mean over the picture's views, in fp32 on the CPU."""
        total = [torch.zeros_like(tensor, dtype=torch.float32) for tensor in self.parameters]
        draw = self._draw(example.latents.shape[2:])
        views = example.latents.shape[1]
        for view in range(views):
            for start in range(0, self.timesteps, TOGETHER):
                part = slice(start, start + TOGETHER)
                value = self._output(example, view, NoiseDraw(draw.noise[part], draw.timesteps[part]))
                value = value / (self.timesteps * views)
                found = torch.autograd.grad(value, self.parameters, allow_unused=True)
                for sum_, gradient in zip(total, found, strict=True):
                    if gradient is not None:
                        sum_ += gradient.float()
        return self.project(torch.cat([gradient.flatten().cpu() for gradient in total]))

    def _output(self, example: Examples, view: int, draw: NoiseDraw) -> torch.Tensor:
        """Sum over time steps of the output for one picture."""
        count = len(draw.timesteps)
        square = self.output == "square"
        kind = self.components.device.type
        with torch.autocast(kind, self.autocast) if self.autocast is not None else nullcontext():
            batch = example.batch([0] * count, [view] * count, self._text(example, count))
            objective, teacher = (DEFAULT_LOSS, ZERO_TARGET) if square else (self.objective, None)
            return self.family.objective(self.components).loss(batch, draw, objective, teacher).sum()

    def _text(self, example: Examples, count: int) -> Mapping[str, torch.Tensor]:
        """The caption, as often as there are time steps; where text encoders learnt, with the way back to them."""
        if not self.trains_text:
            return example.text_of([0] * count)
        text: Mapping[str, Any] = self.family.encode_text(self.components, example.captions[:1])
        return {name: value[[0] * count] for name, value in text.items()}

    def _draw(self, shape: torch.Size) -> NoiseDraw:
        """Noise and times for latents of a shape (c, h, w)."""
        if shape not in self._draws:
            rng = generator_for(self.seed, "influence", 0)
            many = torch.Size((self.timesteps * CHOICE, *shape))
            drawn = self.family.objective(self.components).draw(many, rng, self.objective)
            self._draws[shape] = evenly(drawn, self.timesteps)
        return self._draws[shape]


def evenly(draw: NoiseDraw, count: int) -> NoiseDraw:
    """So many rows of a draw, their times spread evenly over all that were drawn."""
    drawn = len(draw.timesteps)
    ranks = [(2 * index + 1) * drawn // (2 * count) for index in range(count)]
    return NoiseDraw(draw.noise[:count], draw.timesteps.sort().values[ranks])
