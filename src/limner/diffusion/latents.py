"""Pictures to latents."""

from __future__ import annotations

from typing import Any

import torch


@torch.no_grad()
def encode(vae: Any, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Pixels (n, 3, h, w) from -1 to 1 -> latents (n, c, h/8, w/8), drawn from the posterior and scaled."""
    weight = next(vae.parameters())
    moments = vae.encode(pixels.to(weight.device, weight.dtype)).latent_dist
    noise = torch.randn(moments.mean.shape, generator=rng).to(moments.mean)
    shift = vae.config.get("shift_factor") or 0.0
    return (moments.mean + moments.std * noise - shift) * vae.config.scaling_factor
