"""The loss of flow matching models, by hand and beside diffusers' own shift."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux.pipeline_flux import calculate_shift

from limner.core.protocols import Batch, LossOptions, NoiseDraw
from limner.models.flow import draw, flow_loss, shift_of

ANCHORS = {"base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.15}
MANY = torch.Size((20_000, 1, 1, 1))


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def shares(way, config, tokens=1024):
    return draw(MANY, rng(), LossOptions(timestep_sampling=way), config, tokens).timesteps / 1000


@pytest.mark.parametrize("tokens", [64, 256, 1024, 4096, 9000])
def test_the_shift_is_fluxs_own(tokens):
    assert shift_of(tokens, {}) == pytest.approx(calculate_shift(tokens))
    assert shift_of(tokens, ANCHORS | {"max_shift": 2.0}) == pytest.approx(calculate_shift(tokens, max_shift=2.0))


@pytest.mark.parametrize("way", [None, "uniform"])
def test_uniform_times_are_uniform(way):
    found = shares(way, {})
    quarters = torch.tensor([0.25, 0.5, 0.75])
    assert torch.quantile(found, quarters).tolist() == pytest.approx(quarters.tolist(), abs=0.015)
    assert found.min() >= 0 and found.max() < 1


def test_logit_normal_times_have_a_normal_logit():
    logits = torch.logit(shares("logit_normal", {}))
    assert logits.mean().item() == pytest.approx(0, abs=0.03) and logits.std().item() == pytest.approx(1, abs=0.03)


def test_times_are_shifted_as_the_sampler_shifts_its_own():
    """The same draws, moved by diffusers' own scheduler."""
    plain = shares("logit_normal", {})
    fixed = FlowMatchEulerDiscreteScheduler(shift=3.0)
    fixed.set_timesteps(sigmas=plain[:50].tolist())
    assert torch.allclose(shares("logit_normal", fixed.config)[:50], fixed.sigmas[:-1], atol=1e-5)
    dynamic = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    dynamic.set_timesteps(sigmas=plain[:50].tolist(), mu=calculate_shift(2000))
    assert torch.allclose(shares("shift", dynamic.config, 2000)[:50], dynamic.sigmas[:-1], atol=1e-5)
    assert torch.equal(shares("logit_normal", dynamic.config), plain), "its shift is by the picture's size alone"


def test_larger_pictures_are_learnt_at_more_noise():
    config = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True).config
    small, large = (shares("shift", config, tokens).median().item() for tokens in (256, 4096))
    assert [small, large] == pytest.approx([1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(-1.15))], abs=0.01)


def test_the_loss_by_hand():
    """A share of noise of 0, 1/4 and 1; the way from the clean picture to the noise is what is predicted."""
    clean, noise = torch.randn(2, 3, 2, 2, 2, generator=rng())
    times = torch.tensor([0.0, 250.0, 1000.0])
    given = []

    def predict(noisy, timesteps, text):
        given.append((noisy, timesteps, text))
        return 0.5 * noisy

    found = flow_loss(predict, Batch(clean, {"a": 1}), NoiseDraw(noise, times), None)
    ((noisy, timesteps, text),) = given
    assert torch.equal(noisy[0], clean[0]) and torch.equal(noisy[2], noise[2])
    assert torch.allclose(noisy[1], 0.75 * clean[1] + 0.25 * noise[1])
    assert torch.equal(timesteps, times) and text == {"a": 1}
    assert torch.allclose(found, (0.5 * noisy - (noise - clean)).square().mean((1, 2, 3)))
    half = torch.zeros(3, 1, 2, 2)
    half[..., 0] = 1
    part = flow_loss(predict, Batch(clean, {"a": 1}, None, half), NoiseDraw(noise, times), None)
    assert torch.allclose(part, (0.5 * noisy - (noise - clean)).square()[..., 0].mean((1, 2)))
