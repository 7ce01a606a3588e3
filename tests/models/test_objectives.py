"""Training objectives: weights as in the paper's table, losses by hand, times as in diffusers' schedulers."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from diffusers import DDPMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from diffusers.training_utils import compute_snr

from limner.core.protocols import ZERO_TARGET, Batch, LossOptions, NoiseDraw, Teacher
from limner.models.objectives import (
    Epsilon,
    Flow,
    Velocity,
    discrete_objective,
    masked_error,
    shift_mu,
    signal_to_noise,
    teacher_target,
    training_schedule,
)

SCHEDULE = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
SHORT = DDPMScheduler(num_train_timesteps=10)
TIMES = torch.tensor([0, 1, 250, 500, 999])
ANCHORS = {"base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.15}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def no_prediction(*given):
    raise AssertionError


def test_the_signal_to_noise_ratio_is_that_of_diffusers():
    assert torch.allclose(signal_to_noise(SCHEDULE.alphas_cumprod, TIMES), compute_snr(SCHEDULE, TIMES), rtol=1e-4)


def test_min_snr_weights_by_hand():
    """Hang et al. 2023: min(SNR, gamma) / SNR for the noise, / (SNR + 1) for the velocity; both sides of gamma 5."""
    snr = torch.tensor([0.5, 4.9, 5.0, 5.1, 100.0])
    epsilon, velocity = (kind(no_prediction, SCHEDULE) for kind in (Epsilon, Velocity))
    assert epsilon.min_snr_weight(snr, 5.0).tolist() == pytest.approx([1, 1, 1, 5 / 5.1, 0.05])
    assert velocity.min_snr_weight(snr, 5.0).tolist() == pytest.approx([0.5 / 1.5, 4.9 / 5.9, 5 / 6, 5 / 6.1, 5 / 101])


def test_targets():
    clean, noise = torch.randn(2, 5, 4, 2, 2, generator=rng())
    alpha = SCHEDULE.alphas_cumprod[TIMES].reshape(-1, 1, 1, 1)
    assert torch.equal(discrete_objective(no_prediction, SCHEDULE).target(clean, noise, TIMES), noise)
    velocity = DDPMScheduler.from_config(SCHEDULE.config, prediction_type="v_prediction")
    wanted = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
    assert torch.allclose(discrete_objective(no_prediction, velocity).target(clean, noise, TIMES), wanted, atol=1e-6)
    with pytest.raises(ValueError, match="'sample' is not supported"):
        discrete_objective(no_prediction, DDPMScheduler.from_config(SCHEDULE.config, prediction_type="sample"))


def test_timesteps_are_drawn_from_the_first_to_the_last():
    drawn = Epsilon(no_prediction, SHORT).draw(torch.Size((4000, 1, 1, 1)), rng())
    assert torch.bincount(drawn.timesteps).tolist() == pytest.approx([400] * 10, abs=80)
    assert drawn.noise.std().item() == pytest.approx(1, abs=0.05)


def test_the_noise_offset_is_constant_in_each_channel():
    shape, objective = torch.Size((50, 4, 8, 8)), Epsilon(no_prediction, SHORT)
    plain, moved = objective.draw(shape, rng()), objective.draw(shape, rng(), LossOptions(noise_offset=0.1))
    offset = moved.noise - plain.noise
    assert offset.std((2, 3)).max() < 1e-6
    assert offset[:, :, 0, 0].std().item() == pytest.approx(0.1, rel=0.15)
    assert not torch.allclose(offset[:, 0], offset[:, 1], atol=1e-3)


def test_a_mask_weights_the_error():
    """The mean over what is masked: with a mask of a quarter of the image, its errors count four times."""
    predicted, wanted = torch.zeros(2, 1, 2, 2), torch.tensor([[[[1.0, 2], [3, 4]]]]).expand(2, 1, 2, 2)
    mask = torch.tensor([[[[0.0, 0], [0, 1]]], [[[1.0, 1], [0, 0]]]])
    assert masked_error(predicted, wanted, None).tolist() == [7.5, 7.5]
    assert masked_error(predicted, wanted, mask).tolist() == [16, 2.5]
    assert masked_error(predicted, wanted, 0.5 * mask).tolist() == [16, 2.5], "the mask's level does not matter"
    wide = wanted.expand(2, 3, 2, 2)
    assert masked_error(torch.zeros(2, 3, 2, 2), wide, mask).tolist() == [16, 2.5], "nor the number of channels"


def test_the_teacher_predicts_the_targets_of_the_last_samples():
    opened = []

    @contextmanager
    def base_model():
        opened.append("in")
        yield
        opened.append("out")

    def predict(noisy, times, text, frames):
        assert opened == ["in"] and not torch.is_grad_enabled()
        assert frames.tolist() == [[2], [3]], "the frames of these samples"
        return noisy + times[:, None, None, None] + text["words"][:, None, None, None]

    noisy = torch.arange(4.0)[:, None, None, None]
    times, target = torch.tensor([10, 20, 30, 40]), torch.full((4, 1, 1, 1), -1.0)
    batch = Batch(noisy, {}, torch.arange(4)[:, None])
    teacher = Teacher({"words": torch.tensor([100, 200])}, base_model)
    found = teacher_target(predict, batch, noisy, times, target, teacher)
    assert found.flatten().tolist() == [-1, -1, 2 + 30 + 100, 3 + 40 + 200] and opened == ["in", "out"]
    assert teacher_target(predict, batch, noisy, times, target, ZERO_TARGET).abs().max() == 0


@pytest.mark.parametrize("gamma", [None, 5.0])
def test_the_discrete_loss_by_hand(gamma):
    clean, noise = torch.randn(2, 5, 4, 2, 2, generator=rng())
    alpha = SCHEDULE.alphas_cumprod[TIMES].reshape(-1, 1, 1, 1)
    noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise

    def predict(given, times, text, frames):
        assert torch.allclose(given, noisy, atol=1e-6) and torch.equal(times, TIMES) and text == {"a": 1}
        return 0.5 * given

    weight = (
        torch.ones(5) if gamma is None else (compute_snr(SCHEDULE, TIMES).clamp(max=5) / compute_snr(SCHEDULE, TIMES))
    )
    wanted = weight * (0.5 * noisy - noise).square().mean((1, 2, 3))
    objective = discrete_objective(predict, SCHEDULE)
    found = objective.loss(Batch(clean, {"a": 1}), NoiseDraw(noise, TIMES), LossOptions(min_snr_gamma=gamma))
    assert torch.allclose(found, wanted, rtol=1e-4)


def test_the_training_schedule_has_the_betas_of_the_sampler():
    euler = EulerDiscreteScheduler.from_config(SCHEDULE.config, prediction_type="v_prediction")
    found = training_schedule(euler)
    assert torch.equal(found.alphas_cumprod, SCHEDULE.alphas_cumprod)
    assert found.config["prediction_type"] == "v_prediction"


def shares(sampling, config):
    """Shares of noise of many latents."""
    objective, options = Flow(no_prediction, config, 1), LossOptions(timestep_sampling=sampling)
    return objective.draw(torch.Size((20_000, 1, 1, 1)), rng(), options).timesteps / 1000


@pytest.mark.parametrize("tokens", [64, 256, 1024, 4096, 9000])
def test_the_shift_is_that_of_flux(tokens):
    assert shift_mu(tokens, {}) == pytest.approx(calculate_shift(tokens))
    assert shift_mu(tokens, ANCHORS | {"max_shift": 2.0}) == pytest.approx(calculate_shift(tokens, max_shift=2.0))


@pytest.mark.parametrize("sampling", [None, "uniform"])
def test_uniform_times_are_uniform(sampling):
    found = shares(sampling, {})
    quarters = torch.tensor([0.25, 0.5, 0.75])
    assert torch.quantile(found, quarters).tolist() == pytest.approx(quarters.tolist(), abs=0.015)
    assert found.min() >= 0 and found.max() < 1


def test_logit_normal_times_have_a_normal_logit():
    logits = torch.logit(shares("logit_normal", {}))
    assert logits.mean().item() == pytest.approx(0, abs=0.03) and logits.std().item() == pytest.approx(1, abs=0.03)


def test_times_are_shifted_like_those_of_the_sampler():
    """The same random numbers, shifted by diffusers' own scheduler."""
    plain = shares("logit_normal", {})
    fixed = FlowMatchEulerDiscreteScheduler(shift=3.0)
    fixed.set_timesteps(sigmas=plain[:50].tolist())
    assert torch.allclose(shares("logit_normal", fixed.config)[:50], fixed.sigmas[:-1], atol=1e-5)
    dynamic = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    assert torch.equal(shares("logit_normal", dynamic.config), plain), "its shift depends on the image's size alone"
    shape = torch.Size((50, 1, 88, 92))
    options = [LossOptions(timestep_sampling=name) for name in ("logit_normal", "shift")]
    same, shifted = (
        Flow(no_prediction, dynamic.config, 2).draw(shape, rng(), each).timesteps / 1000 for each in options
    )
    dynamic.set_timesteps(sigmas=same.tolist(), mu=calculate_shift(44 * 46))
    assert torch.allclose(shifted, dynamic.sigmas[:-1], atol=1e-5)


@pytest.mark.parametrize(("side", "mu"), [(16, 0.5), (64, 1.15)])
def test_larger_images_are_trained_at_more_noise(side, mu):
    """The logits of the shares of noise are moved by mu, which has its anchors at 256 and 4096 tokens."""
    objective = Flow(no_prediction, FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True).config, 1)
    options = [LossOptions(timestep_sampling=name) for name in ("logit_normal", "shift")]
    shape = torch.Size((50, 1, side, side))
    plain, shifted = (torch.logit(objective.draw(shape, rng(), each).timesteps / 1000) for each in options)
    assert torch.allclose(shifted - plain, torch.tensor(mu), atol=1e-3)


def test_the_flow_loss_by_hand():
    """Shares of noise of 0, 1/4 and 1; the prediction is the way from the clean image to the noise."""
    clean, noise = torch.randn(2, 3, 2, 2, 2, generator=rng())
    times = torch.tensor([0.0, 250.0, 1000.0])
    given = []

    def predict(noisy, timesteps, text, frames):
        given.append((noisy, timesteps, text))
        return 0.5 * noisy

    objective = Flow(predict, {}, 1)
    found = objective.loss(Batch(clean, {"a": 1}), NoiseDraw(noise, times))
    ((noisy, timesteps, text),) = given
    assert torch.equal(noisy[0], clean[0]) and torch.equal(noisy[2], noise[2])
    assert torch.allclose(noisy[1], 0.75 * clean[1] + 0.25 * noise[1])
    assert torch.equal(timesteps, times) and text == {"a": 1}
    assert torch.allclose(found, (0.5 * noisy - (noise - clean)).square().mean((1, 2, 3)))
    half = torch.zeros(3, 1, 2, 2)
    half[..., 0] = 1
    part = objective.loss(Batch(clean, {"a": 1}, None, half), NoiseDraw(noise, times))
    assert torch.allclose(part, (0.5 * noisy - (noise - clean)).square()[..., 0].mean((1, 2)))
