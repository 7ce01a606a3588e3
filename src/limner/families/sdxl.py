"""Stable Diffusion XL: two text encoders, and conditioning on size and crop (Podell et al. 2023, arXiv 2307.01952)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..core.protocols import Alias, Components, Facts, Teacher
from ..diffusion.layers import UNET_LORA_TARGETS

if TYPE_CHECKING:
    import torch


class StableDiffusionXL:
    """A UNet under two CLIP text encoders, told the picture's original size, crop and target size."""

    facts = Facts(
        pipelines=("StableDiffusionXLPipeline",),
        multiple=8,
        lora_targets=UNET_LORA_TARGETS,
        defaults={
            "denoising_steps": 30,
            "guidance": 5.0,
            "steps": 500,
            "batch": 1,
            "learning_rate": 1e-4,
            "class_pictures": 100,
            "prior_target": "pictures",
            "prior_dropout": 0.0,
            "rank": 16,
            "targets": "attention",
        },
    )
    aliases = (Alias("sdxl", "stabilityai/stable-diffusion-xl-base-1.0", "openrail++"),)

    def load(self, location: str, dtype: torch.dtype, device: torch.device) -> Components:
        from diffusers import StableDiffusionXLPipeline

        from ..diffusion.pipelines import load_pipeline
        from ..diffusion.unet import suit_device

        pipeline = load_pipeline(StableDiffusionXLPipeline, location, dtype, add_watermarker=False)
        parts = dict(pipeline.components)
        suit_device(parts, device)
        return Components(parts, "unet", "stable-diffusion-xl-v1-base", "sdxl_base_v1-0", dtype, device)

    def pipeline(self, components: Components, task: str) -> Any:
        from diffusers import StableDiffusionXLPipeline

        return StableDiffusionXLPipeline(**components.parts, add_watermarker=False)

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Both encoders' last but one states, side by side, as `prompt_embeds`; the second's pooled state beside it."""
        import torch

        from ..diffusion.text import tokenise

        states = []
        pooled = None
        for suffix in ("", "_2"):
            tokens = tokenise(components.parts[f"tokenizer{suffix}"], prompts).to(components.device)
            encoded = components.parts[f"text_encoder{suffix}"](tokens, output_hidden_states=True)
            states.append(encoded.hidden_states[-2])
            pooled = encoded[0]
        assert pooled is not None
        return {"prompt_embeds": torch.cat(states, dim=-1), "pooled_prompt_embeds": pooled}

    def encode_images(self, components: Components, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        from ..diffusion.latents import encode

        return encode(components.parts["vae"], pixels, rng)

    def _predict(
        self, components: Components, noisy: torch.Tensor, timesteps: torch.Tensor, text: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """What the UNet says of noisy latents (n, c, h, w) at time steps (n,), in the same shape."""
        import torch

        height, width = (8 * side for side in noisy.shape[2:])
        sizes = torch.tensor([height, width, 0, 0, height, width], device=noisy.device, dtype=noisy.dtype)
        added = {"text_embeds": text["pooled_prompt_embeds"], "time_ids": sizes.expand(len(noisy), -1)}
        states = text["prompt_embeds"]
        return components.denoiser(noisy, timesteps, encoder_hidden_states=states, added_cond_kwargs=added).sample

    def loss(
        self,
        components: Components,
        latents: torch.Tensor,
        text: Mapping[str, torch.Tensor],
        rng: torch.Generator,
        min_snr_gamma: float | None = None,
        teacher: Teacher | None = None,
    ) -> torch.Tensor:
        from ..diffusion.objective import denoising_loss

        predict, scheduler = partial(self._predict, components), components.parts["scheduler"]
        return denoising_loss(predict, scheduler, latents, text, rng, min_snr_gamma, teacher)


plugin = StableDiffusionXL()
