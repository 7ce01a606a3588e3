"""The image encoder, trained to match images with captions as the finished text encoder embeds them.

The text encoder is frozen (locked tuning, Zhai et al. 2022, arXiv 2111.07991, where it is the image encoder), so that
this stage may come last. The text projection is the identity: a text's embedding is its pooled state.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from limner.starter.pretrain.autoencoder import to_tensor
from limner.starter.pretrain.drawings import HELD_OUT, DrawnImages
from limner.starter.pretrain.loop import fit
from limner.starter.pretrain.parts import StarterParts
from limner.starter.pretrain.precision import mixed
from limner.starter.pretrain.recipe import Recipe
from limner.starter.pretrain.text_encoder import agreement, tokenise
from limner.starter.pretrain.training_captions import CAPTION_KINDS, kind_caption, subject_caption, training_caption


def build(recipe: Recipe) -> CLIPVisionModelWithProjection:
    """The untrained image encoder."""
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=recipe.image_width,
            intermediate_size=4 * recipe.image_width,
            projection_dim=recipe.text_width,
            num_hidden_layers=recipe.image_layers,
            num_attention_heads=recipe.image_width // 32,
            image_size=recipe.size,
            patch_size=16,
        )
    )


class ImageTower(nn.Module):
    """An image encoder with a trained temperature."""

    def __init__(self, image: CLIPVisionModelWithProjection) -> None:
        super().__init__()
        self.image = image
        self.temperature = nn.Parameter(torch.tensor(2.66))

    def forward(self, texts: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Embedded texts (n, d) and images (n, 3, s, s) -> similarities (n texts, n images) times the temperature."""
        features = F.normalize(self.image(images).image_embeds.float(), dim=-1)
        return F.normalize(texts.float(), dim=-1) @ features.T * self.temperature.clamp(max=4.6).exp()


def train(
    recipe: Recipe, gallery: DrawnImages, parts: StarterParts, folder: Path, device: str
) -> CLIPVisionModelWithProjection:
    """Train the image encoder."""
    torch.manual_seed(recipe.seed)
    tower = ImageTower(parts.image or build(recipe)).to(device)
    tower.image.set_attn_implementation("eager")  # at these sizes faster than the fused kernel on a CPU
    assert parts.text is not None
    text = parts.text.to(device)  # pyright: ignore[reportArgumentType]
    usual = [i for i in range(len(gallery)) if not gallery.unusual[i]]
    unseen, trained = [i for i in usual if i < HELD_OUT][:200], [i for i in usual if i >= HELD_OUT]

    @torch.no_grad()
    def embed(texts: list[str]) -> torch.Tensor:
        return text(tokenise(parts.tokenizer, texts, "longest").to(device)).pooler_output

    def images(indices: list[int]) -> torch.Tensor:
        return to_tensor(gallery.batch(indices)).to(device)

    def loss(step: int, rng: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        indices = [trained[i] for i in torch.randint(len(trained), (recipe.image.batch,), generator=rng).tolist()]
        kind, words = CAPTION_KINDS[step % len(CAPTION_KINDS)], random.Random(f"{recipe.seed}/{step}")
        texts = [kind(gallery.scenes[i], words) for i in indices]
        with mixed(device):
            scores = tower(embed(texts), images(indices))
        return agreement(scores.float(), texts), {}

    @torch.no_grad()
    def evaluate(model: nn.Module) -> dict[str, float]:
        scenes, words = [gallery.scenes[i] for i in unseen], random.Random("unseen")
        scores = model(embed([training_caption(scene, words) for scene in scenes]), images(unseen))
        right = scores.argmax(1) == torch.arange(len(scores), device=device)
        figures = {"recall_at_1_of_200": right.float().mean().item()}
        for name, kind in (("subject_read", subject_caption), ("kind_read", kind_caption)):
            texts = [kind(scene, words) for scene in scenes]
            choices = sorted(set(texts))
            best = model(embed(choices), images(unseen)).argmax(0).tolist()
            figures[name] = sum(choices[b] == text for b, text in zip(best, texts, strict=True)) / len(texts)
        return figures

    return fit("image", tower, recipe.image, loss, folder, seed=recipe.seed, evaluate=evaluate).image.eval()
