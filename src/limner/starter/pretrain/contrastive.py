"""Stage 2: the text and image encoders, trained to agree on which caption tells which picture (CLIP).

Radford et al. 2021. The text projection is the identity: a text's embedding is its pooled state, so that the
stock CLIPTextModel of the pipeline and the image encoder beside it are the whole model.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig, CLIPVisionModelWithProjection

from ..painter import Scene, caption
from ..painter.captions import article, untold
from .autoencoder import HELD_OUT, to_tensor
from .loop import fit
from .pictures import Gallery
from .recipe import Recipe

LEFT_OUT = {"breed": 0.2, "colour": 0.1, "backdrop": 0.3}  # share of captions that do not tell it
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Encoders(nn.Module):
    """A text encoder and an image encoder with a learnt temperature."""

    def __init__(self, recipe: Recipe, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=recipe.text_width,
                intermediate_size=4 * recipe.text_width,
                projection_dim=recipe.text_width,
                num_hidden_layers=recipe.text_layers,
                num_attention_heads=recipe.text_width // 32,
                max_position_embeddings=recipe.tokens,
                bos_token_id=cast(int, tokenizer.bos_token_id),
                eos_token_id=cast(int, tokenizer.eos_token_id),
                pad_token_id=cast(int, tokenizer.pad_token_id),
            )
        )
        self.image = CLIPVisionModelWithProjection(
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
        self.temperature = nn.Parameter(torch.tensor(2.66))

    def forward(self, tokens: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Tokens (n, l) and images (n, 3, s, s) -> similarities (n texts, n images) times the temperature."""
        texts = F.normalize(self.text(tokens).pooler_output.float(), dim=-1)
        pictures = F.normalize(self.image(images).image_embeds.float(), dim=-1)
        return texts @ pictures.T * self.temperature.clamp(max=4.6).exp()


def tell(scene: Scene, rng: random.Random, dropout: float = 0.0) -> str:
    """A caption for training: mostly full, sometimes short, sometimes with a made-up identifier, sometimes none."""
    if rng.random() < dropout:
        return ""
    left_out = [name for name, share in LEFT_OUT.items() if rng.random() < share]
    if rng.random() < 0.08:
        nonce = "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 5)))
        return caption(untold(scene, *left_out), rng, identifier=nonce)
    return caption(untold(scene, *left_out), rng)


def tokenise(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    return tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids


def told_subject(scene: Scene, rng: random.Random) -> str:
    return article(scene.subject)


def told_kind(scene: Scene, rng: random.Random) -> str:
    return article(f"{scene.breed} {scene.subject}" if scene.breed else f"{scene.colour} {scene.subject}")


def told_worn(scene: Scene, rng: random.Random) -> str:
    worn = f"{scene.extra_colour} {scene.extra}" if scene.extra_colour else scene.extra
    return f"{article(scene.subject)} with {worn}" if worn else article(scene.subject)


# Whole captions can be told apart by place and light alone, so batches of short ones ask for the rest by turns.
ASPECTS = (tell, told_subject, told_kind, told_worn)


def agreement(scores: torch.Tensor, texts: list[str]) -> torch.Tensor:
    """Cross-entropy of similarities (n, n) in both directions, where equal texts are equally right (UniCL)."""
    same = torch.tensor([[a == b for b in texts] for a in texts], device=scores.device).float()
    right = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2


def train(
    recipe: Recipe,
    gallery: Gallery,
    tokenizer: CLIPTokenizer,
    folder: Path,
    device: str,
    begin: Encoders | None = None,
) -> Encoders:
    torch.manual_seed(recipe.seed)
    encoders = (begin or Encoders(recipe, tokenizer)).to(device)
    trained = len(gallery) - HELD_OUT

    def pictures(indices: list[int]) -> torch.Tensor:
        return to_tensor(gallery.batch(indices)).to(device)

    def loss(step: int, rng: torch.Generator):
        indices = torch.randint(trained, (recipe.contrastive.batch,), generator=rng).tolist()
        aspect, words = ASPECTS[step % len(ASPECTS)], random.Random(f"{recipe.seed}/{step}")
        texts = [aspect(gallery.scenes[i], words) for i in indices]
        with torch.autocast(device.split(":")[0], torch.bfloat16):
            scores = encoders(tokenise(tokenizer, texts).to(device), pictures(indices))
        return agreement(scores.float(), texts), {}

    @torch.no_grad()
    def evaluate(model: nn.Module) -> dict[str, float]:
        unseen = list(range(trained, trained + 200))
        scenes, words = [gallery.scenes[i] for i in unseen], random.Random("unseen")
        scores = model(tokenise(tokenizer, [tell(scene, words) for scene in scenes]).to(device), pictures(unseen))
        right = scores.argmax(1) == torch.arange(len(scores), device=device)
        figures = {"recall_at_1_of_200": right.float().mean().item()}
        for name, aspect in (("subject_read", told_subject), ("kind_read", told_kind)):
            texts = [aspect(scene, words) for scene in scenes]
            choices = sorted(set(texts))
            best = model(tokenise(tokenizer, choices).to(device), pictures(unseen)).argmax(0).tolist()
            figures[name] = sum(choices[b] == text for b, text in zip(best, texts, strict=True)) / len(texts)
        return figures

    return fit("contrastive", encoders, recipe.contrastive, loss, folder, seed=recipe.seed, evaluate=evaluate).eval()
