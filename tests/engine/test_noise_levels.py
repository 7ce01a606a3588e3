"""Noise levels: timesteps moved into ranges, by hand."""

from __future__ import annotations

import pytest
import torch

from limner.core.protocols import NoiseDraw
from limner.engine.train.noise_levels import evenly, within


@pytest.mark.parametrize("timesteps", [torch.arange(1000), torch.rand(50) * 1000])
def test_the_whole_schedule_changes_nothing(timesteps):
    moved = within(timesteps, torch.tensor([[0.0, 1.0]]).expand(len(timesteps), 2), 1000)
    assert torch.equal(moved, timesteps) and moved.dtype == timesteps.dtype


def test_each_row_has_a_range_of_its_own():
    levels = torch.tensor([[0.5, 1.0], [0.5, 1.0], [0.0, 0.25], [0.25, 0.75]])
    assert within(torch.tensor([0, 999, 999, 500]), levels, 1000).tolist() == [500, 999, 249, 500]
    assert within(torch.tensor([0.0, 1000.0, 1000.0, 500.0]), levels, 1000).tolist() == [500, 1000, 250, 500]


@pytest.mark.parametrize("count", [10, 50, 1000])
def test_a_range_of_a_short_schedule_stays_in_it(count):
    moved = within(torch.arange(count), torch.tensor([[0.5, 1.0]]).expand(count, 2), count)
    assert moved.min() == count // 2 and moved.max() == count - 1


def test_timesteps_spread_evenly():
    draw = NoiseDraw(torch.arange(16.0).reshape(16, 1, 1, 1), torch.arange(16).flip(0))
    found = evenly(draw, 2)
    assert found.timesteps.tolist() == [4, 12] and found.noise.flatten().tolist() == [0, 1]
