"""Each objective agrees with its sampler: perfect predictions lead back to the image."""

from __future__ import annotations

import pytest
import torch

from limner.starter.pretrain.objective import objective


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "flow_prediction"])
def test_perfect_answers_lead_to_the_picture(prediction):
    rng = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(2, 4, 8, 8, generator=rng) for _ in range(2))
    aim = objective(prediction)
    sampler = aim.scheduler()
    sampler.set_timesteps(20)
    latents = aim.noisy(clean, noise, sampler.timesteps[:1].long().repeat(2))
    for step in sampler.timesteps:
        answer = aim.target(clean, noise, step.long().repeat(2))
        latents = sampler.step(answer, step, latents).prev_sample
    assert torch.allclose(latents, clean, atol=1e-3)


def test_noise_alone_is_where_v_and_flow_begin():
    clean, noise, last = torch.ones(1, 4, 2, 2), torch.full((1, 4, 2, 2), 3.0), torch.tensor([999])
    assert torch.allclose(objective("v_prediction").noisy(clean, noise, last), noise)
    assert torch.allclose(objective("flow_prediction").noisy(clean, noise, last), noise)
    assert (objective("epsilon").noisy(clean, noise, last) - noise).abs().min() > 0.01


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "flow_prediction"])
def test_the_ratio_falls_with_the_steps(prediction):
    ratio = objective(prediction).ratio(torch.arange(1000))
    assert (ratio[:-1] > ratio[1:]).all() and ratio[0] > 1000 and ratio[-1] < 0.01
