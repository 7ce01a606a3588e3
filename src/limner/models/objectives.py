"""Training objectives: noise (epsilon) and velocity (v) on a discrete schedule, and flow matching."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler

from limner.core.protocols import DEFAULT_LOSS, Batch, LossOptions, NoiseDraw, Teacher

Predict = Callable[[torch.Tensor, torch.Tensor, Mapping[str, torch.Tensor], torch.Tensor | None], torch.Tensor]
"""Noisy latents (n, c, h, w), times (n,), text and frames (n, 6) -> prediction (n, c, h, w)."""

FLOW_STEPS = 1000
"""Timesteps of flow matching from clean to noise: a time is 1000 times the share of noise."""

BETA = 250.0
"""Strength of the reference model in preference training: beta T of Wallace et al. 2023 (Diffusion-DPO, arXiv
2311.12908, equation 14) for mean squared errors per element of the latents. They train a model on a million pairs with
2500. That is too strong for an adapter and some hundred pairs: all pairs reach the margin before an image changes.
"""


@dataclass(frozen=True)
class Discrete(ABC):
    """Objective on a discrete noise schedule (DDPM, Ho et al. 2020, arXiv 2006.11239)."""

    predict: Predict
    schedule: DDPMScheduler

    @property
    def timesteps(self) -> int:
        return int(self.schedule.config["num_train_timesteps"])

    @property
    def beta(self) -> float:
        return BETA

    @abstractmethod
    def target(self, clean: torch.Tensor, noise: torch.Tensor, timesteps: Any) -> torch.Tensor:
        """Return what the denoiser should predict."""

    @abstractmethod
    def min_snr_weight(self, snr: torch.Tensor, gamma: float) -> torch.Tensor:
        """Return the loss weights of Hang et al. 2023 (arXiv 2303.09556) for signal-to-noise ratios (n,)."""

    def draw(self, shape: torch.Size, rng: torch.Generator, options: LossOptions = DEFAULT_LOSS) -> NoiseDraw:
        """Draw noise of a shape (n, c, h, w), and timesteps (n,) uniformly over the schedule."""
        noise = torch.randn(shape, generator=rng, dtype=torch.float32)
        timesteps = torch.randint(self.timesteps, shape[:1], generator=rng)
        if options.noise_offset:
            noise += options.noise_offset * torch.randn((*shape[:2], 1, 1), generator=rng)
        return NoiseDraw(noise, timesteps)

    def loss(
        self,
        batch: Batch,
        draw: NoiseDraw,
        options: LossOptions = DEFAULT_LOSS,
        teacher: Teacher | None = None,
    ) -> torch.Tensor:
        schedule, clean = self.schedule, batch.latents
        noise, timesteps = draw.noise.to(clean), draw.timesteps.to(clean.device)
        noisy = schedule.add_noise(clean, noise, timesteps)  # type: ignore[arg-type]
        target = self.target(clean, noise, timesteps)
        errors = prediction_errors(self.predict, batch, noisy, timesteps, target, teacher)
        if options.min_snr_gamma is None:
            return errors
        snr = signal_to_noise(schedule.alphas_cumprod, timesteps)
        return errors * self.min_snr_weight(snr, options.min_snr_gamma)


class Epsilon(Discrete):
    """The denoiser predicts the noise."""

    def target(self, clean: torch.Tensor, noise: torch.Tensor, timesteps: Any) -> torch.Tensor:
        return noise

    def min_snr_weight(self, snr: torch.Tensor, gamma: float) -> torch.Tensor:
        """min(SNR, gamma) / SNR; 1 where the terminal SNR is zero."""
        return (gamma / snr).clamp(max=1)


class Velocity(Discrete):
    """The denoiser predicts v = sqrt(a) noise - sqrt(1 - a) clean (Salimans and Ho 2022, arXiv 2202.00512)."""

    def target(self, clean: torch.Tensor, noise: torch.Tensor, timesteps: Any) -> torch.Tensor:
        return self.schedule.get_velocity(clean, noise, timesteps)  # type: ignore[arg-type]

    def min_snr_weight(self, snr: torch.Tensor, gamma: float) -> torch.Tensor:
        """min(SNR, gamma) / (SNR + 1)."""
        return snr.clamp(max=gamma) / (snr + 1)


PREDICTION_TYPES: Mapping[str, type[Discrete]] = {"epsilon": Epsilon, "v_prediction": Velocity}


def discrete_objective(predict: Predict, scheduler: Any) -> Discrete:
    """Return the objective for a sampler's noise schedule and prediction type."""
    schedule = training_schedule(scheduler)
    kind = schedule.config["prediction_type"]
    if kind not in PREDICTION_TYPES:
        raise ValueError(f"prediction type {kind!r} is not supported; it must be one of {', '.join(PREDICTION_TYPES)}")
    return PREDICTION_TYPES[kind](predict, schedule)


@dataclass(frozen=True)
class Flow:
    """Rectified flow: the denoiser predicts noise - clean (Lipman et al. 2022, arXiv 2210.02747).

    config: the scheduler's. patch: side in latents of one token of the transformer.
    """

    predict: Predict
    config: Any
    patch: int

    @property
    def timesteps(self) -> int:
        return FLOW_STEPS

    @property
    def beta(self) -> float:
        """BETA times the mean of (1 - sigma)^2 for uniform sigma, 1/3.

        At a share of noise sigma, the error of the noise is 1 - sigma times that of the flow. So on average, a
        deviation from the reference model costs as much as that of a model which predicts the noise.
        """
        return BETA / 3

    def draw(self, shape: torch.Size, rng: torch.Generator, options: LossOptions = DEFAULT_LOSS) -> NoiseDraw:
        """Draw noise of a shape (n, c, h, w) and times (n,).

        Shares of noise are uniform, or the sigmoid of a normal value (Esser et al. 2024, arXiv 2403.03206, section
        3.1), and are shifted as the schedule shifts its own; with "shift", the shift depends on the image's size.
        """
        noise = torch.randn(shape, generator=rng, dtype=torch.float32)
        if options.timestep_sampling in (None, "uniform"):
            sigma = torch.rand(shape[:1], generator=rng)
        else:
            sigma = torch.sigmoid(torch.randn(shape[:1], generator=rng))
        if options.timestep_sampling == "shift":
            tokens = shape[2] * shape[3] // self.patch**2
            factor = math.exp(shift_mu(tokens, self.config))
        else:
            factor = 1.0 if self.config.get("use_dynamic_shifting") else float(self.config.get("shift", 1.0))
        return NoiseDraw(noise, FLOW_STEPS * factor * sigma / (1 + (factor - 1) * sigma))

    def loss(
        self,
        batch: Batch,
        draw: NoiseDraw,
        options: LossOptions = DEFAULT_LOSS,
        teacher: Teacher | None = None,
    ) -> torch.Tensor:
        clean = batch.latents
        noise, timesteps = draw.noise.to(clean), draw.timesteps.to(clean)
        sigma = (timesteps / FLOW_STEPS)[:, None, None, None]
        noisy = (1 - sigma) * clean + sigma * noise
        target = noise - clean
        return prediction_errors(self.predict, batch, noisy, timesteps, target, teacher)


def shift_mu(tokens: int, config: Any) -> float:
    """Return mu for an image of so many tokens: linear between two anchors of the schedule, as in FLUX.1's sampler."""
    least, most = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return low + (high - low) * (tokens - least) / (most - least)


@lru_cache(maxsize=4)
def _schedule(options: str) -> DDPMScheduler:
    return cast(DDPMScheduler, DDPMScheduler.from_config(json.loads(options)))


def training_schedule(scheduler: Any) -> DDPMScheduler:
    """Return the noise schedule that a sampler's model was trained with: the same betas and prediction type."""
    return _schedule(json.dumps(dict(scheduler.config), default=str, sort_keys=True))


def signal_to_noise(alphas_cumprod: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
    """Return SNR(t) = alpha_bar / (1 - alpha_bar) at integer timesteps (n,), in fp32."""
    alpha_bar = alphas_cumprod.to(timesteps.device, torch.float32)[timesteps]
    return alpha_bar / (1 - alpha_bar)


def prediction_errors(
    predict: Predict,
    batch: Batch,
    noisy: torch.Tensor,
    timesteps: torch.Tensor,
    target: torch.Tensor,
    teacher: Teacher | None,
) -> torch.Tensor:
    """Return the error of each sample's prediction, (n,), compared with the target or with the teacher."""
    if teacher is not None:
        target = teacher_target(predict, batch, noisy, timesteps, target, teacher)
    return masked_error(predict(noisy, timesteps, batch.text, batch.frames), target, batch.mask)


def teacher_target(
    predict: Predict,
    batch: Batch,
    noisy: torch.Tensor,
    timesteps: torch.Tensor,
    target: torch.Tensor,
    teacher: Teacher,
) -> torch.Tensor:
    """Return the target, with the teacher's predictions for the last samples, as many as it has text for.

    A prediction has no noise of its own, so it has the same effect in far fewer steps (knowledge distillation, Hinton
    et al. 2015, arXiv 1503.02531).
    """
    if teacher.zero:
        return torch.zeros_like(target)
    count = len(next(iter(teacher.text.values())))
    frames = None if batch.frames is None else batch.frames[-count:]
    with torch.no_grad(), teacher.base_model():
        predicted = predict(noisy[-count:], timesteps[-count:], teacher.text, frames)
    return torch.cat([target[:-count], predicted.to(target.dtype)])


def masked_error(predicted: torch.Tensor, target: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return the mean squared error of each sample, (n,), in fp32; with a mask (n, 1, h, w), the weighted mean."""
    errors = F.mse_loss(predicted.float(), target.float(), reduction="none")
    if mask is not None:
        errors = errors * (mask / mask.mean((1, 2, 3), keepdim=True)).to(errors)
    return errors.flatten(1).mean(1)
