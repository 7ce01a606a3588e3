"""FLUX.1 (Black Forest Labs 2024): a transformer over text and image tokens, with CLIP and T5 text encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from limner.core.protocols import Alias, Components, Facts, ModelSource
from limner.models.family_defaults import FLOW_TRAINING, FLUX_LORA_TARGETS

if TYPE_CHECKING:
    import torch

    from limner.models.objectives import Flow

LONGEST = 512
"""Maximum length of a prompt in T5 tokens; a model may take fewer."""
TRAINING_GUIDANCE = 1.0
"""Guidance input of a guidance-distilled model in training: none."""
_GUIDANCE_REMEDY = "leave it out: guidance is distilled into FLUX.1, use --guidance"


class Flux:
    """Rectified flow on latents of 1/8 of the side with 16 channels, in tokens of 2 x 2."""

    facts = Facts(
        pipelines=("FluxPipeline",),
        denoiser="transformer",
        quantised=("transformer", "text_encoder_2"),
        multiple=16,
        lora_targets=FLUX_LORA_TARGETS,
        controls={
            "canny": "InstantX/FLUX.1-dev-Controlnet-Canny",
            "depth": "Shakker-Labs/FLUX.1-dev-ControlNet-Depth",
        },
        lora_encoders=("text_encoder",),
        embeddings=(("clip_l", "tokenizer", "text_encoder"), ("t5", "tokenizer_2", "text_encoder_2")),
        loss_options=frozenset({"timestep_sampling"}),
        remedies=dict.fromkeys(("guidance_method", "guidance_interval"), _GUIDANCE_REMEDY),
        defaults={
            **FLOW_TRAINING,
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
            "also covers adapters trained on it, and restricts how its images may be used",
            gated=True,
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

    def load(self, source: ModelSource, dtype: torch.dtype, device: torch.device) -> Components:
        from diffusers import FluxPipeline

        from limner.models.pipelines import freeze_and_move, load_pipeline

        pipeline = load_pipeline(FluxPipeline, source, dtype, self.facts)
        parts = dict(pipeline.components)
        freeze_and_move(parts, device)
        guided = parts["transformer"].config.guidance_embeds
        architecture = "flux-1-dev" if guided else "flux-1-schnell"
        side = pipeline.default_sample_size * pipeline.vae_scale_factor
        return Components(parts, "transformer", architecture, "flux1", side, dtype, device, guided=guided)

    def pipeline(self, components: Components) -> Any:
        from diffusers import FluxPipeline

        return FluxPipeline(**components.parts)

    def tokenizer(self, components: Components) -> tuple[Any, int]:
        """Return T5's: CLIP contributes only one pooled state."""
        tokenizer = components.parts["tokenizer_2"]
        return tokenizer, min(LONGEST, tokenizer.model_max_length)

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Return T5's states (n, tokens, width) as `prompt_embeds`, CLIP's pooled state as `pooled_prompt_embeds`."""
        from limner.models.prompts import tokenise

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
        """Encode the prompts only: guidance is distilled into the model, so negative prompts have no effect."""
        return self.encode_text(components, prompts)

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
        """Return the transformer's prediction for noisy latents (n, c, h, w) at times (n,), in the same shape."""
        import torch
        from diffusers import FluxPipeline

        count, channels, height, width = noisy.shape
        device, states = noisy.device, text["prompt_embeds"]
        image_ids = FluxPipeline._prepare_latent_image_ids(count, height // 2, width // 2, device, states.dtype)
        guidance = None
        if components.denoiser.config["guidance_embeds"]:  # type: ignore[index]
            guidance = torch.full((count,), TRAINING_GUIDANCE, device=device)
        tokens = components.denoiser(
            hidden_states=FluxPipeline._pack_latents(noisy, count, channels, height, width),
            timestep=timesteps / 1000,
            guidance=guidance,
            pooled_projections=text["pooled_prompt_embeds"],
            encoder_hidden_states=states,
            txt_ids=torch.zeros(states.shape[1], 3, device=device, dtype=states.dtype),
            img_ids=image_ids,
        ).sample
        return FluxPipeline._unpack_latents(tokens, 8 * height, 8 * width, 8)

    def objective(self, components: Components) -> Flow:
        from limner.models.objectives import Flow

        return Flow(partial(self._predict, components), components.scheduler.config, patch=2)


plugin = Flux()
