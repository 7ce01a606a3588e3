"""FLUX.1 (Black Forest Labs 2024): a transformer over text and picture together, told by CLIP and T5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from limner.core.protocols import DEFAULT_LOSS, Alias, Batch, Components, Facts, LossOptions, NoiseDraw, Source, Teacher
from limner.models.defaults import FLOW_LEARNING
from limner.models.layers import FLUX_LORA_TARGETS

if TYPE_CHECKING:
    import torch

LONGEST = 512
"""Tokens of a prompt that T5 reads; a model may be made for fewer."""
TAUGHT_GUIDANCE = 1.0
"""The guidance that a guidance-distilled model is told while it learns: none."""


class Flux:
    """Rectified flow on 8x smaller latents of 16 channels, in tokens of 2 x 2."""

    facts = Facts(
        pipelines=("FluxPipeline",),
        single_file=(),
        denoiser="transformer",
        multiple=16,
        long_prompts=False,
        paired=False,
        lora_targets=FLUX_LORA_TARGETS,
        controls={
            "canny": "InstantX/FLUX.1-dev-Controlnet-Canny",
            "depth": "Shakker-Labs/FLUX.1-dev-ControlNet-Depth",
        },
        controlled={},
        lora_encoders=("text_encoder",),
        samplers=False,
        embeddings=(("clip_l", "tokenizer", "text_encoder"), ("t5", "tokenizer_2", "text_encoder_2")),
        objective=frozenset({"timestep_sampling"}),
        defaults={
            **FLOW_LEARNING,
            "denoising_steps": 28,
            "guidance": 3.5,
            "timestep_sampling": "shift",
        },
    )
    aliases = (
        Alias(
            "flux-dev",
            "black-forest-labs/FLUX.1-dev",
            "flux-1-dev-non-commercial-license",
            33.7,
            34.0,
            terms="FLUX.1-dev may not be used commercially without an agreement with Black Forest Labs; its licence "
            "also holds for adapters made on it, and says how pictures made with it may be used",
        ),
        Alias(
            "flux-schnell",
            "black-forest-labs/FLUX.1-schnell",
            "apache-2.0",
            33.7,
            34.0,
            defaults={"denoising_steps": 4, "guidance": 0.0},
        ),
    )

    def load(self, source: Source, dtype: torch.dtype, device: torch.device) -> Components:
        from diffusers import FluxPipeline

        from limner.models.pipelines import freeze_and_move, load_pipeline

        pipeline = load_pipeline(FluxPipeline, source, dtype, ("transformer", "text_encoder_2"))
        parts = dict(pipeline.components)
        freeze_and_move(parts, device)
        guided = parts["transformer"].config.guidance_embeds
        architecture = "flux-1-dev" if guided else "flux-1-schnell"
        side = pipeline.default_sample_size * pipeline.vae_scale_factor
        return Components(parts, "transformer", architecture, "flux1", side, dtype, device, guided=guided)

    def pipeline(self, components: Components) -> Any:
        from diffusers import FluxPipeline

        return FluxPipeline(**components.parts)

    def reader(self, components: Components) -> tuple[Any, int]:
        """T5, since CLIP's share is one state for the whole."""
        tokenizer = components.parts["tokenizer_2"]
        return tokenizer, min(LONGEST, tokenizer.model_max_length)

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """T5's states (n, tokens, width) as `prompt_embeds`, CLIP's pooled state as `pooled_prompt_embeds`."""
        from limner.models.tokens import tokenise

        parts = components.parts
        clip = tokenise(parts["tokenizer"], prompts).to(components.device)
        t5 = tokenise(parts["tokenizer_2"], prompts, LONGEST).to(components.device)
        return {
            "prompt_embeds": parts["text_encoder_2"](t5)[0],
            "pooled_prompt_embeds": parts["text_encoder"](clip).pooler_output,
        }

    def conditioning(
        self, components: Components, prompts: Sequence[str], negatives: Sequence[str]
    ) -> Mapping[str, Sequence[Any] | torch.Tensor]:
        """Guidance is distilled into the model, so that nothing is encoded of what to keep out."""
        return self.encode_text(components, prompts)

    def encode_images(self, components: Components, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        from limner.models.latents import encode

        return encode(components.parts["vae"], pixels, rng)

    def _predict(
        self, components: Components, noisy: torch.Tensor, timesteps: torch.Tensor, text: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """What the transformer says of noisy latents (n, c, h, w) at times (n,), in the same shape."""
        import torch
        from diffusers import FluxPipeline

        count, channels, height, width = noisy.shape
        device, states = noisy.device, text["prompt_embeds"]
        places = FluxPipeline._prepare_latent_image_ids(count, height // 2, width // 2, device, states.dtype)
        told = None
        if components.denoiser.config["guidance_embeds"]:  # type: ignore[index]
            told = torch.full((count,), TAUGHT_GUIDANCE, device=device)
        tokens = components.denoiser(
            hidden_states=FluxPipeline._pack_latents(noisy, count, channels, height, width),
            timestep=timesteps / 1000,
            guidance=told,
            pooled_projections=text["pooled_prompt_embeds"],
            encoder_hidden_states=states,
            txt_ids=torch.zeros(states.shape[1], 3, device=device, dtype=states.dtype),
            img_ids=places,
        ).sample
        return FluxPipeline._unpack_latents(tokens, 8 * height, 8 * width, 8)

    def draw(
        self, components: Components, shape: torch.Size, rng: torch.Generator, objective: LossOptions = DEFAULT_LOSS
    ) -> NoiseDraw:
        from limner.models.flow import draw

        return draw(shape, rng, objective, components.parts["scheduler"].config, shape[2] * shape[3] // 4)

    def loss(
        self,
        components: Components,
        batch: Batch,
        draw: NoiseDraw,
        objective: LossOptions = DEFAULT_LOSS,
        teacher: Teacher | None = None,
    ) -> torch.Tensor:
        from limner.models.flow import flow_loss

        return flow_loss(partial(self._predict, components), batch, draw, teacher)


plugin = Flux()
