"""Noise levels of a loss: timesteps within a range of the schedule, and timesteps spread evenly over it."""

from __future__ import annotations

import torch

from limner.core.protocols import NoiseDraw

CLEAN, NOISE = 0.0, 1.0
"""Noise levels are shares of the schedule."""


def within(timesteps: torch.Tensor, levels: torch.Tensor, count: int) -> torch.Tensor:
    """Timesteps (n,) of a schedule of `count`, moved in a line from the whole schedule into ranges of noise levels.

    levels: (n, 2), from 0 (clean) to 1 (noise). The range from 0 to 1 changes nothing. Integers stay integers below the
    upper end of the range.
    """
    low, high = levels.to(timesteps.device, torch.float64).unbind(1)
    moved = low * count + (high - low) * timesteps.double()
    return moved.to(timesteps.dtype)


def evenly(draw: NoiseDraw, count: int) -> NoiseDraw:
    """`count` rows of a draw, with timesteps spread evenly over all that were drawn."""
    drawn = len(draw.timesteps)
    ranks = [(2 * index + 1) * drawn // (2 * count) for index in range(count)]
    return NoiseDraw(draw.noise[:count], draw.timesteps.sort().values[ranks])
