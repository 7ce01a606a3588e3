"""Encoding images as latents."""

from __future__ import annotations

from typing import Any

import torch


@torch.no_grad()
def sample_posterior(vae: Any, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Encode pixels (n, 3, h, w) from -1 to 1 as fp32 latents (n, c, h/8, w/8), sampled from the posterior.

    Encodes in fp32 whatever the format of the weights: several autoencoders overflow in fp16, and bf16 would round
    latents that are encoded once and used in a thousand steps. Encodes one image at a time, to save memory.
    """
    weight = next(vae.parameters())
    dtype, device = weight.dtype, weight.device
    try:
        vae.to(torch.float32)
        posteriors = [vae.encode(image[None].to(device, torch.float32)).latent_dist for image in pixels]
    finally:
        vae.to(dtype)
    mean, std = (torch.cat([getattr(one, name) for one in posteriors]) for name in ("mean", "std"))
    return mean + std * torch.randn(mean.shape, generator=rng).to(mean)


def encode(vae: Any, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Encode pixels like `sample_posterior`, then shift and scale the latents as the denoiser takes them."""
    shift = vae.config.get("shift_factor") or 0.0
    return (sample_posterior(vae, pixels, rng) - shift) * vae.config.scaling_factor
