"""Each objective agrees with its sampler: perfect predictions lead back to the image."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler

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


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_noise_and_target_are_those_of_the_stock_scheduler(prediction):
    rng = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(5, 4, 8, 8, generator=rng) for _ in range(2))
    steps = torch.tensor([0, 1, 500, 998, 999])
    aim = objective(prediction)
    stock = DDPMScheduler(**aim.config)
    assert torch.allclose(aim.noisy(clean, noise, steps), stock.add_noise(clean, noise, steps), atol=1e-6)
    target = noise if prediction == "epsilon" else stock.get_velocity(clean, noise, steps)
    assert torch.allclose(aim.target(clean, noise, steps), target, atol=1e-6)


def test_its_tensors_are_on_the_device():
    steps, latents = torch.zeros(2, dtype=torch.long, device="meta"), torch.zeros(2, 4, 2, 2, device="meta")
    for prediction in ("v_prediction", "epsilon", "flow_prediction"):
        aim = objective(prediction, "meta")
        assert aim.ratio(steps).device.type == "meta", prediction
        assert aim.noisy(latents, latents, steps).shape == aim.target(latents, latents, steps).shape == latents.shape


def test_noise_alone_is_where_v_and_flow_begin():
    clean, noise, last = torch.ones(1, 4, 2, 2), torch.full((1, 4, 2, 2), 3.0), torch.tensor([999])
    assert torch.allclose(objective("v_prediction").noisy(clean, noise, last), noise)
    assert torch.allclose(objective("flow_prediction").noisy(clean, noise, last), noise)
    assert (objective("epsilon").noisy(clean, noise, last) - noise).abs().min() > 0.01


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "flow_prediction"])
def test_the_ratio_falls_with_the_steps(prediction):
    ratio = objective(prediction).ratio(torch.arange(1000))
    assert (ratio[:-1] > ratio[1:]).all() and ratio[0] > 1000 and ratio[-1] < 0.01
