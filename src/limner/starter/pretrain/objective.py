"""Objectives of pretraining: what the UNet predicts, at which amounts of noise."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from diffusers import DDPMScheduler, SchedulerMixin, UniPCMultistepScheduler

from limner.starter.pretrain.recipe import Prediction

STEPS = 1000
SCALED_LINEAR = {
    "num_train_timesteps": STEPS,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "trailing",
}


class PretrainObjective(ABC):
    """Noise is added to latents (n, c, h, w) at timesteps (n,), 0 to 999; all tensors are on one device."""

    @abstractmethod
    def noisy(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """The latents with noise added."""

    @abstractmethod
    def target(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """What the UNet should predict."""

    @abstractmethod
    def ratio(self, steps: torch.Tensor) -> torch.Tensor:
        """Signal-to-noise ratio at each timestep, (n,)."""

    @abstractmethod
    def scheduler(self) -> SchedulerMixin:
        """The sampler of the finished pipeline."""


class DiscreteObjective(PretrainObjective):
    """v (Salimans & Ho 2022, arXiv 2202.00512) or epsilon (Ho et al. 2020) on the scaled-linear schedule.

    With v the schedule ends at zero SNR (Lin et al. 2024, arXiv 2305.08891, algorithm 1), so that plain red and very
    dark images can be generated; epsilon says nothing about the image there.
    """

    def __init__(self, prediction: Prediction) -> None:
        self.by_velocity = prediction == "v_prediction"
        self.config = SCALED_LINEAR | {
            "prediction_type": prediction,
            "rescale_betas_zero_snr": self.by_velocity,
        }
        self.schedule = DDPMScheduler(**self.config)  # pyright: ignore[reportArgumentType]

    def noisy(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        return self.schedule.add_noise(clean, noise, steps)  # type: ignore[arg-type]

    def target(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        return self.schedule.get_velocity(clean, noise, steps) if self.by_velocity else noise  # type: ignore[arg-type]

    def ratio(self, steps: torch.Tensor) -> torch.Tensor:
        share = self.schedule.alphas_cumprod.to(steps.device)[steps]
        return share / (1 - share)

    def scheduler(self) -> SchedulerMixin:
        return UniPCMultistepScheduler(**self.config)  # pyright: ignore[reportArgumentType]


class FlowObjective(PretrainObjective):
    """Rectified flow: the direction of straight lines from image to noise (Liu et al. 2023, arXiv 2209.03003)."""

    def _share(self, steps: torch.Tensor) -> torch.Tensor:
        return (steps.float() + 1) / STEPS

    def noisy(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        share = self._share(steps)[:, None, None, None]
        return (1 - share) * clean + share * noise

    def target(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        return noise - clean

    def ratio(self, steps: torch.Tensor) -> torch.Tensor:
        share = self._share(steps)
        return ((1 - share) / share).square()

    def scheduler(self) -> SchedulerMixin:
        return UniPCMultistepScheduler(
            num_train_timesteps=STEPS, prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0
        )


def objective(prediction: Prediction) -> PretrainObjective:
    """The objective of a prediction type."""
    return FlowObjective() if prediction == "flow_prediction" else DiscreteObjective(prediction)
