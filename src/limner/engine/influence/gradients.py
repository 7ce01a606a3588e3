"""Gradient features of images: the direction in which an image would change the trained tensors."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from limner.core.protocols import DEFAULT_LOSS, ZERO_TARGET, LossOptions, NoiseDraw
from limner.engine.influence.projection import Projection
from limner.engine.influence.restored import RestoredAdapter
from limner.engine.train.batches import generator_for
from limner.engine.train.examples import Examples
from limner.engine.train.noise_levels import evenly

BATCH = 8
"""Timesteps that go through the model at once."""
CHOICE = 8
"""How many timesteps are drawn for each that is used."""


@dataclass
class Gradients:
    """Features of images: the gradient of an output of the model with respect to the trained tensors. It is the mean
    over timesteps and noise that are the same for all images.

    output: "loss", the training loss, or "square", the mean square of the prediction. Zheng et al. 2024 (D-TRAK, arXiv
    2311.00500) found the square better; on the starter it was not (docs/influence.md). dimension: of a feature, where
    the gradient is longer.
    """

    restored: RestoredAdapter
    objective: LossOptions
    output: str
    timesteps: int
    dimension: int
    seed: int
    autocast: torch.dtype | None = None
    _draws: dict[torch.Size, NoiseDraw] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parameters = [tensor for group in self.restored.trainable.groups().values() for tensor in group]
        self.project = Projection(sum(tensor.numel() for tensor in self.parameters), self.dimension, self.seed)

    def of(self, example: Examples) -> torch.Tensor:
        """The feature (k,) of one encoded image, the mean over its views, in fp32 on the CPU."""
        total = [torch.zeros_like(tensor, dtype=torch.float32) for tensor in self.parameters]
        draw = self._draw(example.size)
        views = example.latents.shape[1]
        for view in range(views):
            for start in range(0, self.timesteps, BATCH):
                part = slice(start, start + BATCH)
                value = self._output(example, view, NoiseDraw(draw.noise[part], draw.timesteps[part]))
                value = value / (self.timesteps * views)
                found = torch.autograd.grad(value, self.parameters, allow_unused=True)
                for sum_, gradient in zip(total, found, strict=True):
                    if gradient is not None:
                        sum_ += gradient.float()
        return self.project(torch.cat([gradient.flatten().cpu() for gradient in total]))

    def _output(self, example: Examples, view: int, draw: NoiseDraw) -> torch.Tensor:
        """The sum over timesteps of the output for one image."""
        components, family = self.restored.components, self.restored.model.family
        count = len(draw.timesteps)
        square = self.output == "square"
        kind = components.device.type
        with torch.autocast(kind, self.autocast) if self.autocast is not None else nullcontext():
            batch = example.batch([0] * count, [view] * count, self._text(example, count))
            objective, teacher = (DEFAULT_LOSS, ZERO_TARGET) if square else (self.objective, None)
            return family.objective(components).loss(batch, draw, objective, teacher).sum()

    def _text(self, example: Examples, count: int) -> Mapping[str, torch.Tensor]:
        """The encoded caption, repeated for every timestep; with gradients where text encoders were trained."""
        if not self.restored.trains_text:
            return example.text_of([0] * count)
        family, components = self.restored.model.family, self.restored.components
        text: Mapping[str, Any] = family.encode_text(components, example.captions[:1])
        return {name: value[[0] * count] for name, value in text.items()}

    def _draw(self, size: torch.Size) -> NoiseDraw:
        """Noise and timesteps for latents of a size (c, h, w)."""
        if size not in self._draws:
            rng = generator_for(self.seed, "influence", 0)
            many = torch.Size((self.timesteps * CHOICE, *size))
            draw = self.restored.model.family.objective(self.restored.components).draw(many, rng, self.objective)
            self._draws[size] = evenly(draw, self.timesteps)
        return self._draws[size]
