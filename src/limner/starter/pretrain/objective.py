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

    def __init__(self, prediction: Prediction, device: str) -> None:
        self.by_velocity = prediction == "v_prediction"
        self.config = SCALED_LINEAR | {
            "prediction_type": prediction,
            "rescale_betas_zero_snr": self.by_velocity,
        }
        schedule = DDPMScheduler(**self.config)  # pyright: ignore[reportArgumentType]
        self.shares = schedule.alphas_cumprod.to(device)

    def noisy(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        image, disturbance = self._weights(steps)
        return image * clean + disturbance * noise

    def target(self, clean: torch.Tensor, noise: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        if not self.by_velocity:
            return noise
        image, disturbance = self._weights(steps)
        return image * noise - disturbance * clean

    def ratio(self, steps: torch.Tensor) -> torch.Tensor:
        share = self.shares[steps]
        return share / (1 - share)

    def _weights(self, steps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The weights of image and noise, (n, 1, 1, 1) each."""
        share = self.shares[steps][:, None, None, None]
        return share.sqrt(), (1 - share).sqrt()

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


def objective(prediction: Prediction, device: str = "cpu") -> PretrainObjective:
    """The objective of a prediction type, with its tensors on a device."""
    return FlowObjective() if prediction == "flow_prediction" else DiscreteObjective(prediction, device)
