"""FLUX.2 klein (Black Forest Labs 2026): a transformer over text and picture together, told by Qwen3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from limner.core.protocols import DEFAULT_LOSS, Alias, Batch, Components, Facts, LossOptions, NoiseDraw, Source, Teacher
from limner.models.defaults import FLOW_LEARNING
from limner.models.layers import FLUX2_LORA_TARGETS

if TYPE_CHECKING:
    import torch

LONGEST = 512
"""Tokens of a prompt, with those of the chat around it."""
LAYERS = (9, 18, 27)
"""The layers of the text encoder whose states are put side by side."""


class Flux2Klein:
    """Rectified flow on 16x smaller latents of 128 channels, made even by the autoencoder's batch statistics."""

    facts = Facts(
        pipelines=("Flux2KleinPipeline",),
        single_file=(),
        denoiser="transformer",
        multiple=16,
        long_prompts=False,
        paired=False,
        lora_targets=FLUX2_LORA_TARGETS,
        controls={},
        controlled={},
        lora_encoders=(),
        samplers=False,
        embeddings=(),
        objective=frozenset({"timestep_sampling"}),
        defaults={
            **FLOW_LEARNING,
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

    def load(self, source: Source, dtype: torch.dtype, device: torch.device) -> Components:
        from diffusers import Flux2KleinPipeline

        from limner.models.pipelines import freeze_and_move, load_pipeline

        pipeline = load_pipeline(
            Flux2KleinPipeline, source, dtype, ("transformer", "text_encoder"), vae="AutoencoderKLFlux2"
        )
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

    def reader(self, components: Components) -> tuple[Any, int]:
        return components.parts["tokenizer"], LONGEST

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """States of three layers side by side, (n, tokens, 3 x width), as `prompt_embeds`."""
        import torch

        from limner.models.tokens import converse

        tokens, mask = converse(components.parts["tokenizer"], prompts, LONGEST, thinking=False)
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
        told = self.encode_text(components, prompts)
        if not components.guided:
            return told
        return {**told, "negative_prompt_embeds": self.encode_text(components, negatives)["prompt_embeds"]}

    def encode_images(self, components: Components, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        from diffusers import Flux2KleinPipeline

        from limner.models.latents import sample

        vae = components.parts["vae"]
        latents = Flux2KleinPipeline._patchify_latents(sample(vae, pixels, rng))
        mean = vae.bn.running_mean.to(latents)[:, None, None]
        deviation = (vae.bn.running_var.to(latents) + vae.config.batch_norm_eps).sqrt()[:, None, None]
        return (latents - mean) / deviation

    def _predict(
        self, components: Components, noisy: torch.Tensor, timesteps: torch.Tensor, text: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """What the transformer says of noisy latents (n, c, h, w) at times (n,), in the same shape."""
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

    def draw(
        self, components: Components, shape: torch.Size, rng: torch.Generator, objective: LossOptions = DEFAULT_LOSS
    ) -> NoiseDraw:
        from limner.models.flow import draw

        return draw(shape, rng, objective, components.parts["scheduler"].config, shape[2] * shape[3])

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


plugin = Flux2Klein()
