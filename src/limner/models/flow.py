"""The training objective of flow matching models as pure functions (Lipman et al. 2022, arXiv 2210.02747)."""

from __future__ import annotations

import math
from typing import Any

import torch

from limner.core.protocols import Batch, LossOptions, NoiseDraw, Teacher
from limner.models.objective import Predict, masked_error, taught

STEPS = 1000
"""Time steps from clean to noise; a time is this often its share of noise."""


def shift_of(tokens: int, config: Any) -> float:
    """mu of a picture of so many tokens: on a line through the schedule's two anchors, as FLUX.1's sampler has it."""
    least, most = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return low + (high - low) * (tokens - least) / (most - least)


def draw(shape: torch.Size, rng: torch.Generator, objective: LossOptions, config: Any, tokens: int) -> NoiseDraw:
    """Noise of a shape (n, c, h, w) and times (n,), from a CPU generator.

    config: the scheduler's. tokens: of a picture. Shares of noise are drawn uniformly, or as the sigmoid of a normal
    number (Esser et al. 2024, arXiv 2403.03206, section 3.1), and moved as the schedule moves its own; "shift" moves
    the sigmoid by the picture's size.
    """
    noise = torch.randn(shape, generator=rng, dtype=torch.float32)
    if objective.timestep_sampling in (None, "uniform"):
        sigma = torch.rand(shape[:1], generator=rng)
    else:
        sigma = torch.sigmoid(torch.randn(shape[:1], generator=rng))
    if objective.timestep_sampling == "shift":
        factor = math.exp(shift_of(tokens, config))
    else:
        factor = 1.0 if config.get("use_dynamic_shifting") else float(config.get("shift", 1.0))
    return NoiseDraw(noise, STEPS * factor * sigma / (1 + (factor - 1) * sigma))


def flow_loss(predict: Predict, batch: Batch, draw: NoiseDraw, teacher: Teacher | None) -> torch.Tensor:
    """Loss of each sample, (n,): mix the latents with noise, predict the way from one to the other, compare."""
    clean = batch.latents
    noise, timesteps = draw.noise.to(clean), draw.timesteps.to(clean)
    sigma = (timesteps / STEPS)[:, None, None, None]
    noisy = (1 - sigma) * clean + sigma * noise
    wanted = taught(predict, noise - clean, noisy, timesteps, teacher)
    return masked_error(predict(noisy, timesteps, batch.text), wanted, batch.mask)
