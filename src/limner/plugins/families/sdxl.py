"""Stable Diffusion XL: two text encoders, conditioning on size and crop (Podell et al. 2023, arXiv 2307.01952)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from limner.core.protocols import Alias, Components, Facts, ModelSource
from limner.models.family_defaults import UNET_LORA_TARGETS

if TYPE_CHECKING:
    import torch

    from limner.models.objectives import Discrete


class StableDiffusionXL:
    """UNet with two CLIP text encoders, conditioned on the original size, the crop and the target size."""

    facts = Facts(
        pipelines=("StableDiffusionXLPipeline",),
        single_file=("conditioner.embedders.1.model.token_embedding.weight",),
        denoiser="unet",
        quantised=("unet",),
        suggested_vae="madebyollin/sdxl-vae-fp16-fix",
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
        loss_options=frozenset({"min_snr_gamma", "noise_offset"}),
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

    def load(self, source: ModelSource, dtype: torch.dtype, device: torch.device) -> Components:
        from diffusers import StableDiffusionXLPipeline

        from limner.models.pipelines import load_pipeline, native_side, place_unet

        pipeline = load_pipeline(StableDiffusionXLPipeline, source, dtype, self.facts, add_watermarker=False)
        parts = dict(pipeline.components)
        place_unet(parts, device)
        flags = {"force_zeros_for_empty_prompt": pipeline.config.force_zeros_for_empty_prompt}
        architecture, version = "stable-diffusion-xl-v1-base", "sdxl_base_v1-0"
        return Components(parts, "unet", architecture, version, native_side(parts), dtype, device, flags)

    def pipeline(self, components: Components) -> Any:
        from diffusers import StableDiffusionXLPipeline

        return StableDiffusionXLPipeline(**components.parts, **components.flags, add_watermarker=False)

    def tokenizer(self, components: Components) -> tuple[Any, int]:
        tokenizer = components.parts["tokenizer"]
        return tokenizer, tokenizer.model_max_length

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Return both encoders' last but one states, concatenated, and the second's pooled state."""
        import torch

        from limner.models.prompts import tokenise

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
        """Encode prompts of any length, with weights; the pooled state is that of the first chunk.

        An empty negative prompt is encoded as zeros, as the stock pipeline does by default.
        """
        from limner.models.prompts import encode_weighted

        pooled: list[torch.Tensor] = []

        def encoder(suffix: str) -> Callable[[torch.Tensor], torch.Tensor]:
            def states(ids: torch.Tensor) -> torch.Tensor:
                part = components.parts[f"text_encoder{suffix}"]
                encoded = part(ids.to(components.device), output_hidden_states=True)
                if suffix:
                    pooled.append(encoded[0])
                return encoded.hidden_states[-2]

            return states

        encoders = [(components.parts[f"tokenizer{suffix}"], encoder(suffix)) for suffix in ("", "_2")]
        states, negative = encode_weighted(encoders, prompts, negatives)
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
        import torch

        if frames is None:
            height, width = (8 * side for side in noisy.shape[2:])
            frames = torch.tensor([height, width, 0, 0, height, width]).expand(len(noisy), -1)
        added = {"text_embeds": text["pooled_prompt_embeds"], "time_ids": frames.to(noisy)}
        states = text["prompt_embeds"]
        return components.denoiser(noisy, timesteps, encoder_hidden_states=states, added_cond_kwargs=added).sample

    def objective(self, components: Components) -> Discrete:
        from limner.models.objectives import discrete_objective

        return discrete_objective(partial(self._predict, components), components.scheduler)


plugin = StableDiffusionXL()
