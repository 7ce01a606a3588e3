"""The training objective of UNet diffusion models as pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler

from limner.core.protocols import Batch, LossOptions, NoiseDraw, Teacher

Predict = Callable[[torch.Tensor, torch.Tensor, Mapping[str, torch.Tensor]], torch.Tensor]


@lru_cache(maxsize=4)
def _schedule(options: str) -> DDPMScheduler:
    return cast(DDPMScheduler, DDPMScheduler.from_config(json.loads(options)))


def schedule_of(scheduler: Any) -> DDPMScheduler:
    """The training noise schedule behind a sampler: the same betas and prediction type."""
    return _schedule(json.dumps(dict(scheduler.config), default=str, sort_keys=True))


def signal_to_noise(alphas_cumprod: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
    """SNR(t) = alpha_bar / (1 - alpha_bar) at integer timesteps (n,), in fp32."""
    alpha_bar = alphas_cumprod.to(timesteps.device, torch.float32)[timesteps]
    return alpha_bar / (1 - alpha_bar)


def min_snr_weight(snr: torch.Tensor, gamma: float, prediction_type: str) -> torch.Tensor:
    """Weights of Hang et al. 2023 (arXiv 2303.09556): min(SNR, gamma)/SNR, or /(SNR + 1) for v-prediction."""
    if prediction_type == "v_prediction":
        return snr.clamp(max=gamma) / (snr + 1)
    return (gamma / snr).clamp(max=1)  # 1 where the terminal SNR is zero


def target(schedule: DDPMScheduler, clean: torch.Tensor, noise: torch.Tensor, timesteps: Any) -> torch.Tensor:
    """What the network should predict: the noise, or v = sqrt(a) noise - sqrt(1 - a) clean (arXiv 2202.00512)."""
    kind = schedule.config["prediction_type"]
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        return schedule.get_velocity(clean, noise, timesteps)  # type: ignore[arg-type]
    raise ValueError(f"prediction type {kind!r} is not one that this family learns")


def draw(shape: torch.Size, steps: int, rng: torch.Generator, objective: LossOptions) -> NoiseDraw:
    """Noise of a shape (n, c, h, w) and timesteps (n,), uniform over the schedule, from a CPU generator."""
    noise = torch.randn(shape, generator=rng, dtype=torch.float32)
    timesteps = torch.randint(steps, shape[:1], generator=rng)
    if objective.noise_offset:
        noise += objective.noise_offset * torch.randn((*shape[:2], 1, 1), generator=rng)
    return NoiseDraw(noise, timesteps)


def denoising_loss(
    predict: Predict, scheduler: Any, batch: Batch, draw: NoiseDraw, objective: LossOptions, teacher: Teacher | None
) -> torch.Tensor:
    """Loss of each sample, (n,): noise the latents, predict from what is noisy, time steps and text, compare."""
    schedule, clean = schedule_of(scheduler), batch.latents
    noise, timesteps = draw.noise.to(clean), draw.timesteps.to(clean.device)
    noisy = schedule.add_noise(clean, noise, timesteps)  # type: ignore[arg-type]
    wanted = taught(predict, target(schedule, clean, noise, timesteps), noisy, timesteps, teacher)
    errors = masked_error(predict(noisy, timesteps, batch.text), wanted, batch.mask)
    if objective.min_snr_gamma is None:
        return errors
    snr = signal_to_noise(schedule.alphas_cumprod, timesteps)
    return errors * min_snr_weight(snr, objective.min_snr_gamma, schedule.config["prediction_type"])


def taught(
    predict: Predict, wanted: torch.Tensor, noisy: torch.Tensor, timesteps: torch.Tensor, teacher: Teacher | None
) -> torch.Tensor:
    """What should be predicted, of the last samples, as many as the teacher has text for, as the teacher predicts it.

    That has no noise of its own and so needs far fewer steps to say the same (knowledge distillation, Hinton et al.
    2015, arXiv 1503.02531).
    """
    if teacher is None:
        return wanted
    if teacher.silent:
        return torch.zeros_like(wanted)
    count = len(next(iter(teacher.text.values())))
    with torch.no_grad(), teacher.base_model():
        said = predict(noisy[-count:], timesteps[-count:], teacher.text)
    return torch.cat([wanted[:-count], said.to(wanted.dtype)])


def masked_error(predicted: torch.Tensor, wanted: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Mean squared error of each sample, (n,), in fp32; with a mask (n, 1, h, w), the mean over what it holds."""
    errors = F.mse_loss(predicted.float(), wanted.float(), reduction="none")
    if mask is not None:
        errors = errors * (mask / mask.mean((1, 2, 3), keepdim=True)).to(errors)
    return errors.flatten(1).mean(1)
