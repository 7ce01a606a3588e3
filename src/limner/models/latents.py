"""Pictures to latents."""

from __future__ import annotations

from typing import Any

import torch


@torch.no_grad()
def sample(vae: Any, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Pictures (n, 3, h, w) from -1 to 1 -> fp32 latents (n, c, h/8, w/8), drawn from the posterior.

    It is done in fp32 whatever the weights' format: several autoencoders overflow in fp16, and bf16 would round
    latents that are encoded once and learnt from a thousand times. Pictures go one by one, as large ones need the
    memory.
    """
    weight = next(vae.parameters())
    kept, device = weight.dtype, weight.device
    try:
        vae.to(torch.float32)
        posteriors = [vae.encode(picture[None].to(device, torch.float32)).latent_dist for picture in pixels]
    finally:
        vae.to(kept)
    mean, std = (torch.cat([getattr(one, name) for one in posteriors]) for name in ("mean", "std"))
    return mean + std * torch.randn(mean.shape, generator=rng).to(mean)


def encode(vae: Any, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """As `sample`, moved and scaled as the denoiser takes them."""
    shift = vae.config.get("shift_factor") or 0.0
    return (sample(vae, pixels, rng) - shift) * vae.config.scaling_factor
