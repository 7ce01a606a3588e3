"""Z-Image: one transformer over a single sequence of text and image tokens (arXiv 2511.22699)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from limner.core.protocols import Alias, Components, Facts, ModelSource
from limner.models.family_defaults import FLOW_TRAINING, Z_LORA_TARGETS

if TYPE_CHECKING:
    import torch

    from limner.models.objectives import Flow

LONGEST = 512
"""Maximum length of a prompt in tokens, including the chat template."""
_GUIDANCE_REMEDY = "leave it out: Z-Image has plain guidance only, use --guidance"


class ZImage:
    """Rectified flow on latents of 1/8 of the side with 16 channels, with a Qwen3 text encoder."""

    facts = Facts(
        pipelines=("ZImagePipeline",),
        denoiser="transformer",
        quantised=("transformer", "text_encoder"),
        multiple=16,
        lora_targets=Z_LORA_TARGETS,
        loss_options=frozenset({"timestep_sampling"}),
        noise_precision="fp32",
        remedies=dict.fromkeys(("guidance_method", "guidance_interval"), _GUIDANCE_REMEDY),
        defaults={
            **FLOW_TRAINING,
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

    def load(self, source: ModelSource, dtype: torch.dtype, device: torch.device) -> Components:
        from diffusers import ZImagePipeline

        from limner.models.pipelines import freeze_and_move, load_pipeline

        parts = dict(load_pipeline(ZImagePipeline, source, dtype, self.facts).components)
        freeze_and_move(parts, device)
        return Components(parts, "transformer", "z-image", "zimage", 1024, dtype, device)

    def pipeline(self, components: Components) -> Any:
        from diffusers import ZImagePipeline

        return ZImagePipeline(**components.parts)

    def tokenizer(self, components: Components) -> tuple[Any, int]:
        return components.parts["tokenizer"], LONGEST

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Return the last but one layer's states (n, tokens, width) as `prompt_embeds`, and their mask."""
        from limner.models.prompts import tokenise_chat

        tokens, mask = tokenise_chat(components.parts["tokenizer"], prompts, LONGEST, thinking=True)
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

        return encode(components.vae, pixels, rng)

    def _predict(
        self,
        components: Components,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        text: Mapping[str, torch.Tensor],
        frames: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the transformer's prediction for noisy latents (n, c, h, w) at times (n,), in the same shape.

        Its time runs from noise to clean, and its prediction has the opposite sign.
        """
        import torch

        images = list(noisy.unsqueeze(2).unbind())  # of one frame each
        predicted = components.denoiser(images, (1000 - timesteps) / 1000, _unpadded(text), return_dict=False)[0]
        return -torch.stack(predicted).squeeze(2)

    def objective(self, components: Components) -> Flow:
        from limner.models.objectives import Flow

        return Flow(partial(self._predict, components), components.scheduler.config, patch=2)


def _unpadded(text: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """Return the states of each prompt without padding."""
    return [states[mask] for states, mask in zip(text["prompt_embeds"], text["prompt_mask"], strict=True)]


plugin = ZImage()
