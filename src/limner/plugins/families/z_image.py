"""Z-Image: one transformer over text and picture as a single sequence, by flow matching (arXiv 2511.22699)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from limner.core.protocols import DEFAULT_LOSS, Alias, Batch, Components, Facts, LossOptions, NoiseDraw, Source, Teacher
from limner.models.defaults import FLOW_LEARNING
from limner.models.layers import Z_LORA_TARGETS

if TYPE_CHECKING:
    import torch

LONGEST = 512
"""Tokens of a prompt, with those of the chat around it."""


class ZImage:
    """Rectified flow on 8x smaller latents of 16 channels, told by a Qwen3 text encoder."""

    facts = Facts(
        pipelines=("ZImagePipeline",),
        single_file=(),
        denoiser="transformer",
        multiple=16,
        long_prompts=False,
        paired=False,
        lora_targets=Z_LORA_TARGETS,
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
        Alias("z-image", "Tongyi-MAI/Z-Image", "apache-2.0", 20.5, 21.0),
        Alias(
            "z-image-turbo",
            "Tongyi-MAI/Z-Image-Turbo",
            "apache-2.0",
            20.5,
            21.0,
            defaults={"denoising_steps": 9, "guidance": 0.0},
        ),
    )

    def load(self, source: Source, dtype: torch.dtype, device: torch.device) -> Components:
        from diffusers import ZImagePipeline

        from limner.models.pipelines import freeze_and_move, load_pipeline

        parts = dict(load_pipeline(ZImagePipeline, source, dtype, ("transformer", "text_encoder")).components)
        freeze_and_move(parts, device)
        return Components(parts, "transformer", "z-image", "zimage", 1024, dtype, device)

    def pipeline(self, components: Components) -> Any:
        from diffusers import ZImagePipeline

        return ZImagePipeline(**components.parts)

    def reader(self, components: Components) -> tuple[Any, int]:
        return components.parts["tokenizer"], LONGEST

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """The last but one layer's states (n, tokens, width) as `prompt_embeds`, and which are the prompt's."""
        from limner.models.tokens import converse

        tokens, mask = converse(components.parts["tokenizer"], prompts, LONGEST, thinking=True)
        mask = mask.to(components.device).bool()
        encoded = components.parts["text_encoder"](
            input_ids=tokens.to(components.device), attention_mask=mask, output_hidden_states=True
        )
        return {"prompt_embeds": encoded.hidden_states[-2], "prompt_mask": mask}

    def conditioning(
        self, components: Components, prompts: Sequence[str], negatives: Sequence[str]
    ) -> Mapping[str, Sequence[Any] | torch.Tensor]:
        return {
            "prompt_embeds": _unpadded(self.encode_text(components, prompts)),
            "negative_prompt_embeds": _unpadded(self.encode_text(components, negatives)),
        }

    def encode_images(self, components: Components, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        from limner.models.latents import encode

        return encode(components.parts["vae"], pixels, rng)

    def _predict(
        self, components: Components, noisy: torch.Tensor, timesteps: torch.Tensor, text: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """What the transformer says of noisy latents (n, c, h, w) at times (n,), in the same shape.

        It counts time from noise to clean, and says the way there.
        """
        import torch

        pictures = list(noisy.unsqueeze(2).unbind())  # each one frame long
        said = components.denoiser(pictures, (1000 - timesteps) / 1000, _unpadded(text), return_dict=False)[0]
        return -torch.stack(said).squeeze(2)

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


def _unpadded(text: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """The states of each prompt without padding."""
    return [states[kept] for states, kept in zip(text["prompt_embeds"], text["prompt_mask"], strict=True)]


plugin = ZImage()
