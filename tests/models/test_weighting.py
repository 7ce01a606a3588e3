"""The loss of UNet models: its weights as the paper's table has them, its parts by hand."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr

from limner.core.protocols import ZERO_TARGET, Batch, LossOptions, NoiseDraw, Teacher
from limner.models.objective import (
    denoising_loss,
    draw,
    masked_error,
    min_snr_weight,
    schedule_of,
    signal_to_noise,
    target,
    taught,
)

SCHEDULE = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
TIMES = torch.tensor([0, 1, 250, 500, 999])


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_signal_to_noise_ratio_is_diffusers_own():
    assert torch.allclose(signal_to_noise(SCHEDULE.alphas_cumprod, TIMES), compute_snr(SCHEDULE, TIMES), rtol=1e-4)


def test_min_snr_weights_by_hand():
    """Hang et al. 2023: min(SNR, gamma) / SNR of the noise, / (SNR + 1) of the velocity; both sides of gamma 5."""
    snr = torch.tensor([0.5, 4.9, 5.0, 5.1, 100.0])
    assert min_snr_weight(snr, 5.0, "epsilon").tolist() == pytest.approx([1, 1, 1, 5 / 5.1, 0.05])
    assert min_snr_weight(snr, 5.0, "v_prediction").tolist() == pytest.approx(
        [0.5 / 1.5, 4.9 / 5.9, 5 / 6, 5 / 6.1, 5 / 101]
    )


def test_what_is_predicted():
    clean, noise = torch.randn(2, 5, 4, 2, 2, generator=rng())
    velocity = DDPMScheduler.from_config(SCHEDULE.config, prediction_type="v_prediction")
    alpha = SCHEDULE.alphas_cumprod[TIMES].reshape(-1, 1, 1, 1)
    assert torch.equal(target(SCHEDULE, clean, noise, TIMES), noise)
    wanted = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
    assert torch.allclose(target(velocity, clean, noise, TIMES), wanted, atol=1e-6)
    with pytest.raises(ValueError, match="'sample' is not one"):
        target(DDPMScheduler.from_config(SCHEDULE.config, prediction_type="sample"), clean, noise, TIMES)


def test_timesteps_are_drawn_from_the_first_to_the_last():
    drawn = draw(torch.Size((4000, 1, 1, 1)), 10, rng(), LossOptions())
    assert torch.bincount(drawn.timesteps).tolist() == pytest.approx([400] * 10, abs=80)
    assert drawn.noise.std().item() == pytest.approx(1, abs=0.05)


def test_the_noise_offset_is_of_each_channel():
    shape = torch.Size((50, 4, 8, 8))
    plain, moved = draw(shape, 10, rng(), LossOptions()), draw(shape, 10, rng(), LossOptions(noise_offset=0.1))
    offset = moved.noise - plain.noise
    assert offset.std((2, 3)).max() < 1e-6, "all of a channel moves alike"
    assert offset[:, :, 0, 0].std().item() == pytest.approx(0.1, rel=0.15)
    assert not torch.allclose(offset[:, 0], offset[:, 1], atol=1e-3)


def test_a_mask_weighs_what_it_holds():
    """The mean over what is masked: a mask of a quarter of the picture counts its errors four times."""
    predicted, wanted = torch.zeros(2, 1, 2, 2), torch.tensor([[[[1.0, 2], [3, 4]]]]).expand(2, 1, 2, 2)
    mask = torch.tensor([[[[0.0, 0], [0, 1]]], [[[1.0, 1], [0, 0]]]])
    assert masked_error(predicted, wanted, None).tolist() == [7.5, 7.5]
    assert masked_error(predicted, wanted, mask).tolist() == [16, 2.5]
    assert masked_error(predicted, wanted, 0.5 * mask).tolist() == [16, 2.5], "a mask's own level does not count"
    wide = wanted.expand(2, 3, 2, 2)
    assert masked_error(torch.zeros(2, 3, 2, 2), wide, mask).tolist() == [16, 2.5], "nor do channels"


def test_the_last_samples_are_told_by_the_teacher():
    opened = []

    @contextmanager
    def base_model():
        opened.append("in")
        yield
        opened.append("out")

    def predict(noisy, times, text):
        assert opened == ["in"] and not torch.is_grad_enabled()
        return noisy + times[:, None, None, None] + text["words"][:, None, None, None]

    noisy = torch.arange(4.0)[:, None, None, None]
    times, wanted = torch.tensor([10, 20, 30, 40]), torch.full((4, 1, 1, 1), -1.0)
    found = taught(predict, wanted, noisy, times, Teacher({"words": torch.tensor([100, 200])}, base_model))
    assert found.flatten().tolist() == [-1, -1, 2 + 30 + 100, 3 + 40 + 200] and opened == ["in", "out"]
    assert torch.equal(taught(predict, wanted, noisy, times, None), wanted)
    assert taught(predict, wanted, noisy, times, ZERO_TARGET).abs().max() == 0


@pytest.mark.parametrize("gamma", [None, 5.0])
def test_the_whole_loss_by_hand(gamma):
    clean, noise = torch.randn(2, 5, 4, 2, 2, generator=rng())
    alpha = SCHEDULE.alphas_cumprod[TIMES].reshape(-1, 1, 1, 1)
    noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise

    def predict(given, times, text):
        assert torch.allclose(given, noisy, atol=1e-6) and torch.equal(times, TIMES) and text == {"a": 1}
        return 0.5 * given

    weight = (
        torch.ones(5) if gamma is None else (compute_snr(SCHEDULE, TIMES).clamp(max=5) / compute_snr(SCHEDULE, TIMES))
    )
    wanted = weight * (0.5 * noisy - noise).square().mean((1, 2, 3))
    found = denoising_loss(
        predict, SCHEDULE, Batch(clean, {"a": 1}), NoiseDraw(noise, TIMES), LossOptions(min_snr_gamma=gamma), None
    )
    assert torch.allclose(found, wanted, rtol=1e-4)


def test_the_training_schedule_has_the_samplers_own_betas():
    from diffusers import EulerDiscreteScheduler

    euler = EulerDiscreteScheduler.from_config(SCHEDULE.config, prediction_type="v_prediction")
    found = schedule_of(euler)
    assert torch.equal(found.alphas_cumprod, SCHEDULE.alphas_cumprod)
    assert found.config["prediction_type"] == "v_prediction"
