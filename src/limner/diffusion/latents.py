"""Pictures to latents."""

from __future__ import annotations

from typing import Any

import torch


@torch.no_grad()
def encode(vae: Any, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Pictures (n, 3, h, w) from -1 to 1 -> fp32 latents (n, c, h/8, w/8), drawn from the posterior and scaled.

    It is done in fp32 whatever the weights' format: several autoencoders overflow in fp16, and bf16 would round
    latents that are encoded once and learnt from a thousand times.
    """
    weight = next(vae.parameters())
    kept = weight.dtype
    moments = vae.to(torch.float32).encode(pixels.to(weight.device, torch.float32)).latent_dist
    vae.to(kept)
    noise = torch.randn(moments.mean.shape, generator=rng).to(moments.mean)
    shift = vae.config.get("shift_factor") or 0.0
    return (moments.mean + moments.std * noise - shift) * vae.config.scaling_factor
