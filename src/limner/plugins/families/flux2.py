"""FLUX.2 klein (Black Forest Labs 2026): a transformer over text and image tokens, with a Qwen3 text encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from limner.core.protocols import Alias, Components, Facts, ModelSource
from limner.models.family_defaults import FLOW_TRAINING, FLUX2_LORA_TARGETS

if TYPE_CHECKING:
    import torch

    from limner.models.objectives import Flow

LONGEST = 512
"""Maximum length of a prompt in tokens, including the chat template."""
LAYERS = (9, 18, 27)
"""Layers of the text encoder whose states are concatenated."""
_GUIDANCE_REMEDY = "leave it out: FLUX.2 has plain guidance only, use --guidance"


class Flux2Klein:
    """Rectified flow on latents of 1/16 of the side with 128 channels, normalised by batch statistics."""

    facts = Facts(
        pipelines=("Flux2KleinPipeline",),
        denoiser="transformer",
        quantised=("transformer", "text_encoder"),
        vae="AutoencoderKLFlux2",
        multiple=16,
        lora_targets=FLUX2_LORA_TARGETS,
        loss_options=frozenset({"timestep_sampling"}),
        remedies=dict.fromkeys(("guidance_method", "guidance_interval"), _GUIDANCE_REMEDY),
        defaults={
            **FLOW_TRAINING,
            "denoising_steps": 50,
            "guidance": 4.0,
            "timestep_sampling": "logit_normal",
        },
    )
    aliases = (
        Alias(
            "flux2-klein",
            "black-forest-labs/FLUX.2-klein-4B",
            "apache-2.0",
            16.0,
            17.0,
            defaults={"denoising_steps": 4, "guidance": 1.0},
        ),
        Alias("flux2-klein-base", "black-forest-labs/FLUX.2-klein-base-4B", "apache-2.0", 16.0, 17.0),
    )

    def load(self, source: ModelSource, dtype: torch.dtype, device: torch.device) -> Components:
        from diffusers import Flux2KleinPipeline

        from limner.models.pipelines import freeze_and_move, load_pipeline

        pipeline = load_pipeline(Flux2KleinPipeline, source, dtype, self.facts)
        parts = dict(pipeline.components)
        freeze_and_move(parts, device)
        side = pipeline.default_sample_size * pipeline.vae_scale_factor
        return Components(
            parts,
            "transformer",
            "flux-2-klein",
            "flux2_klein",
            side,
            dtype,
            device,
            {"is_distilled": pipeline.config.is_distilled},
            guided=not pipeline.config.is_distilled,
        )

    def pipeline(self, components: Components) -> Any:
        from diffusers import Flux2KleinPipeline

        return Flux2KleinPipeline(**components.parts, **components.flags)

    def tokenizer(self, components: Components) -> tuple[Any, int]:
        return components.parts["tokenizer"], LONGEST

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Return the states of three layers, concatenated, (n, tokens, 3 x width), as `prompt_embeds`."""
        import torch

        from limner.models.prompts import tokenise_chat

        tokens, mask = tokenise_chat(components.parts["tokenizer"], prompts, LONGEST, thinking=False)
        states = components.parts["text_encoder"](
            input_ids=tokens.to(components.device),
            attention_mask=mask.to(components.device),
            output_hidden_states=True,
            use_cache=False,
        ).hidden_states
        return {"prompt_embeds": torch.cat([states[layer] for layer in LAYERS], dim=-1)}

    def conditioning(
        self, components: Components, prompts: Sequence[str], negatives: Sequence[str]
    ) -> Mapping[str, Sequence[Any] | torch.Tensor]:
        encoded = self.encode_text(components, prompts)
        if not components.guided:
            return encoded
        return {**encoded, "negative_prompt_embeds": self.encode_text(components, negatives)["prompt_embeds"]}

    def encode_images(self, components: Components, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        from diffusers import Flux2KleinPipeline

        from limner.models.latents import sample_posterior

        vae = components.vae
        latents = Flux2KleinPipeline._patchify_latents(sample_posterior(vae, pixels, rng))
        mean = vae.bn.running_mean.to(latents)[:, None, None]
        deviation = (vae.bn.running_var.to(latents) + vae.config.batch_norm_eps).sqrt()[:, None, None]
        return (latents - mean) / deviation

    def _predict(
        self,
        components: Components,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        text: Mapping[str, torch.Tensor],
        frames: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the transformer's prediction for noisy latents (n, c, h, w) at times (n,), in the same shape."""
        from diffusers import Flux2KleinPipeline

        states = text["prompt_embeds"]
        tokens = components.denoiser(
            hidden_states=Flux2KleinPipeline._pack_latents(noisy),
            timestep=timesteps / 1000,
            guidance=None,
            encoder_hidden_states=states,
            txt_ids=Flux2KleinPipeline._prepare_text_ids(states).to(noisy.device),
            img_ids=Flux2KleinPipeline._prepare_latent_ids(noisy).to(noisy.device),
        ).sample
        return tokens.transpose(1, 2).reshape(noisy.shape)

    def objective(self, components: Components) -> Flow:
        from limner.models.objectives import Flow

        return Flow(partial(self._predict, components), components.scheduler.config, patch=1)


plugin = Flux2Klein()
