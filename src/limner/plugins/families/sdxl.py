"""Stable Diffusion XL: two text encoders, and conditioning on size and crop (Podell et al. 2023, arXiv 2307.01952)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from limner.core.protocols import DEFAULT_LOSS, Alias, Batch, Components, Facts, LossOptions, NoiseDraw, Source, Teacher
from limner.models.layers import UNET_LORA_TARGETS

if TYPE_CHECKING:
    import torch


class StableDiffusionXL:
    """A UNet under two CLIP text encoders, told the picture's original size, crop and target size."""

    facts = Facts(
        pipelines=("StableDiffusionXLPipeline",),
        single_file=("conditioner.embedders.1.model.token_embedding.weight",),
        denoiser="unet",
        multiple=8,
        long_prompts=True,
        paired=True,
        lora_targets=UNET_LORA_TARGETS,
        controls={
            "canny": "diffusers/controlnet-canny-sdxl-1.0",
            "depth": "diffusers/controlnet-depth-sdxl-1.0",
        },
        controlled={"cross_attention_dim": 2048},
        lora_encoders=("text_encoder", "text_encoder_2"),
        samplers=True,
        embeddings=(("clip_l", "tokenizer", "text_encoder"), ("clip_g", "tokenizer_2", "text_encoder_2")),
        objective=frozenset({"min_snr_gamma", "noise_offset"}),
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
    aliases = (
        Alias(
            "sdxl",
            "stabilityai/stable-diffusion-xl-base-1.0",
            "openrail++",
            7.1,
            9.0,
            vae="madebyollin/sdxl-vae-fp16-fix",
        ),
    )

    def load(self, source: Source, dtype: torch.dtype, device: torch.device) -> Components:
        from diffusers import StableDiffusionXLPipeline

        from limner.models.pipelines import load_pipeline
        from limner.models.unet import native_side, suit_device

        pipeline = load_pipeline(StableDiffusionXLPipeline, source, dtype, ("unet",), add_watermarker=False)
        parts = dict(pipeline.components)
        suit_device(parts, device)
        flags = {"force_zeros_for_empty_prompt": pipeline.config.force_zeros_for_empty_prompt}
        architecture, version = "stable-diffusion-xl-v1-base", "sdxl_base_v1-0"
        return Components(parts, "unet", architecture, version, native_side(parts), dtype, device, flags)

    def pipeline(self, components: Components) -> Any:
        from diffusers import StableDiffusionXLPipeline

        return StableDiffusionXLPipeline(**components.parts, **components.flags, add_watermarker=False)

    def reader(self, components: Components) -> tuple[Any, int]:
        tokenizer = components.parts["tokenizer"]
        return tokenizer, tokenizer.model_max_length

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Both encoders' last but one states, side by side, as `prompt_embeds`; the second's pooled state beside it."""
        import torch

        from limner.models.tokens import tokenise

        states = []
        pooled = None
        for suffix in ("", "_2"):
            tokens = tokenise(components.parts[f"tokenizer{suffix}"], prompts).to(components.device)
            encoded = components.parts[f"text_encoder{suffix}"](tokens, output_hidden_states=True)
            states.append(encoded.hidden_states[-2])
            pooled = encoded[0]
        assert pooled is not None
        return {"prompt_embeds": torch.cat(states, dim=-1), "pooled_prompt_embeds": pooled}

    def conditioning(
        self, components: Components, prompts: Sequence[str], negatives: Sequence[str]
    ) -> Mapping[str, Sequence[Any] | torch.Tensor]:
        """Prompts may be longer than the text encoders take, and weigh words; the pooled state is of the first part.

        Where nothing shall be kept out, the negative is zeros, as the model's pipeline has it by default.
        """
        from limner.models.prompts import read

        pooled: list[torch.Tensor] = []

        def encoder(suffix: str) -> Callable[[torch.Tensor], torch.Tensor]:
            def states(ids: torch.Tensor) -> torch.Tensor:
                part = components.parts[f"text_encoder{suffix}"]
                encoded = part(ids.to(components.device), output_hidden_states=True)
                if suffix:
                    pooled.append(encoded[0])
                return encoded.hidden_states[-2]

            return states

        known = [(components.parts[f"tokenizer{suffix}"], encoder(suffix)) for suffix in ("", "_2")]
        states, negative = read(known, prompts, negatives)
        first, first_negative = (rows[:: len(rows) // len(prompts)] for rows in pooled[:2])
        zeros = components.flags.get("force_zeros_for_empty_prompt", True)
        empty = [index for index, text in enumerate(negatives) if not text and zeros]
        negative[empty], first_negative[empty] = 0, 0
        return {
            "prompt_embeds": states,
            "pooled_prompt_embeds": first,
            "negative_prompt_embeds": negative,
            "negative_pooled_prompt_embeds": first_negative,
        }

    def encode_images(self, components: Components, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        from limner.models.latents import encode

        return encode(components.parts["vae"], pixels, rng)

    def _predict(
        self,
        components: Components,
        frames: torch.Tensor,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        text: Mapping[str, torch.Tensor],
    ) -> torch.Tensor:
        """What the UNet says of noisy latents (n, c, h, w) at time steps (n,), in the same shape."""
        sizes = frames[-len(noisy) :].to(noisy)
        added = {"text_embeds": text["pooled_prompt_embeds"], "time_ids": sizes}
        states = text["prompt_embeds"]
        return components.denoiser(noisy, timesteps, encoder_hidden_states=states, added_cond_kwargs=added).sample

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
        import torch

        from limner.models.objective import denoising_loss

        frames = batch.frames
        if frames is None:
            height, width = (8 * side for side in batch.latents.shape[2:])
            frames = torch.tensor([height, width, 0, 0, height, width]).expand(len(batch), -1)
        predict, scheduler = partial(self._predict, components, frames), components.parts["scheduler"]
        return denoising_loss(predict, scheduler, batch, draw, objective, teacher)


plugin = StableDiffusionXL()
