"""How the UNet families run fast on the machine at hand."""

from __future__ import annotations

from typing import Any

import torch

from limner.models.pipelines import freeze_and_move


def suit_device(parts: dict[str, Any], device: torch.device) -> None:
    """Move the networks to the device, in the memory layout and with the attention that are fastest there.

    On a CPU, plain matrix products outrun the fused attention kernel at head widths of 32 and less, and
    channels-last doubles convolutions in fp32.
    """
    from diffusers.models.attention_processor import AttnProcessor

    freeze_and_move(parts, device)
    for part in parts.values():
        if device.type == "cpu" and "block_out_channels" in getattr(part, "config", {}):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    unet = parts["unet"]
    if device.type == "cpu" and max(unet.config.block_out_channels) <= 320:
        unet.set_attn_processor(AttnProcessor())


def native_side(parts: dict[str, Any]) -> int:
    """Side in pixels that a UNet was made for; of one for oblong pictures, the shorter one."""
    latent = parts["unet"].config.sample_size
    side = latent if isinstance(latent, int) else min(latent)
    return side * 2 ** (len(parts["vae"].config.block_out_channels) - 1)
