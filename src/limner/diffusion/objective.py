"""The training objective of UNet diffusion models as pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler

from ..core.protocols import Teacher

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
    return snr.clamp(max=gamma) / (snr + 1 if prediction_type == "v_prediction" else snr)


def target(schedule: DDPMScheduler, clean: torch.Tensor, noise: torch.Tensor, timesteps: Any) -> torch.Tensor:
    """What the network should predict: the noise, or v = sqrt(a) noise - sqrt(1 - a) clean (arXiv 2202.00512)."""
    kind = schedule.config["prediction_type"]
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        return schedule.get_velocity(clean, noise, timesteps)  # type: ignore[arg-type]
    raise ValueError(f"prediction type {kind!r} is not one that this family learns")


def draw(latents: torch.Tensor, steps: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise like the latents and timesteps (n,), uniform over the schedule, from a CPU generator."""
    noise = torch.randn(latents.shape, generator=rng, dtype=torch.float32)
    timesteps = torch.randint(steps, (len(latents),), generator=rng)
    return noise.to(latents.device, latents.dtype), timesteps.to(latents.device)


def denoising_loss(
    predict: Predict,
    scheduler: Any,
    latents: torch.Tensor,
    text: Mapping[str, torch.Tensor],
    rng: torch.Generator,
    min_snr_gamma: float | None,
    teacher: Teacher | None,
) -> torch.Tensor:
    """Loss of each sample, (n,): noise the latents, predict from what is noisy, time steps and text, compare.

    The last samples, as many as the teacher has text for, are compared with its own prediction, which has no noise of
    its own and so needs far fewer steps to say the same (knowledge distillation, Hinton et al. 2015, arXiv 1503.02531).
    """
    schedule = schedule_of(scheduler)
    noise, timesteps = draw(latents, schedule.config["num_train_timesteps"], rng)
    noisy = schedule.add_noise(latents, noise, timesteps)  # type: ignore[arg-type]
    wanted = target(schedule, latents, noise, timesteps)
    if teacher is not None:
        taught = slice(-len(next(iter(teacher.text.values()))), None)
        with torch.no_grad(), teacher.untaught():
            said = predict(noisy[taught], timesteps[taught], teacher.text)
        wanted[taught] = said.to(wanted.dtype)
    return weighted_error(predict(noisy, timesteps, text), wanted, schedule, timesteps, min_snr_gamma)


def weighted_error(
    predicted: torch.Tensor,
    wanted: torch.Tensor,
    schedule: DDPMScheduler,
    timesteps: torch.Tensor,
    min_snr_gamma: float | None,
) -> torch.Tensor:
    """Mean squared error of each sample, (n,), in fp32, weighted by min-SNR when a gamma is given."""
    error = F.mse_loss(predicted.float(), wanted.float(), reduction="none").flatten(1).mean(1)
    if min_snr_gamma is None:
        return error
    snr = signal_to_noise(schedule.alphas_cumprod, timesteps)
    return error * min_snr_weight(snr, min_snr_gamma, schedule.config["prediction_type"])
