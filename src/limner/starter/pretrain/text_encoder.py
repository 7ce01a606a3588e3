"""The text encoder, trained to match captions with the facts of their scenes.

The loss is CLIP's (Radford et al. 2021, arXiv 2103.00020), with the scene's facts in place of CLIP's images: the
painter knows them exactly, and no image need be drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from limner.starter.painter import ATTRIBUTES, Scene
from limner.starter.painter.reserved import unreserved_scenes
from limner.starter.pretrain.loop import fit
from limner.starter.pretrain.precision import mixed
from limner.starter.pretrain.recipe import Recipe
from limner.starter.pretrain.training_captions import CAPTION_KINDS, training_caption

FACTS = {**ATTRIBUTES, "facing": ("left", "right")}


def build(recipe: Recipe, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The untrained text encoder."""
    return CLIPTextModel(
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


def tokenise(tokenizer: CLIPTokenizer, texts: list[str], padding: str = "max_length") -> torch.Tensor:
    """Token ids (n, l) of texts."""
    return tokenizer(texts, padding=padding, truncation=True, return_tensors="pt").input_ids


class Words:
    """Tokenises many texts, ten times as fast: each word once. Tokens never go beyond a space."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self.tokenizer = tokenizer
        self.known: dict[str, list[int]] = {}

    def tokenise(self, texts: list[str]) -> torch.Tensor:
        """Token ids (n, l) of texts, padded to the model's length."""
        split = [text.split() for text in texts]
        if new := list({word for words in split for word in words} - self.known.keys()):
            self.known |= zip(new, self.tokenizer(new, add_special_tokens=False).input_ids, strict=True)
        ends = tokenise(self.tokenizer, [""])[0].tolist()  # beginning, end, padding
        start, end, padding = ends[0], ends[1], ends[-1]
        rows = []
        for words in split:
            ids = [start, *(token for word in words for token in self.known[word])][: len(ends) - 1]
            rows.append([*ids, end, *[padding] * (len(ends) - 1 - len(ids))])
        return torch.tensor(rows)


def agreement(scores: torch.Tensor, texts: list[str]) -> torch.Tensor:
    """Cross-entropy of similarities (n, n) in both directions, where equal texts are equally correct (UniCL)."""
    known = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    numbers = torch.tensor([known[text] for text in texts], device=scores.device)
    same = (numbers[:, None] == numbers[None]).float()
    target = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2


class TextAndFacts(nn.Module):
    """A text encoder, and a small network that embeds the facts of a scene."""

    def __init__(self, text: CLIPTextModel, width: int) -> None:
        super().__init__()
        self.text = text
        self.tables = nn.ModuleDict({name: nn.Embedding(len(known) + 1, 32) for name, known in FACTS.items()})
        self.scene = nn.Sequential(nn.Linear(32 * len(FACTS), 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.temperature = nn.Parameter(torch.tensor(2.66))

    def forward(self, tokens: torch.Tensor, facts: torch.Tensor) -> torch.Tensor:
        """Tokens (n, l) and facts (n, f) -> similarities (n texts, n scenes) times the temperature."""
        texts = F.normalize(self.text(tokens).pooler_output.float(), dim=-1)
        known = torch.cat([table(facts[:, i]) for i, table in enumerate(self.tables.values())], dim=1)
        scenes = F.normalize(self.scene(known).float(), dim=-1)
        return texts @ scenes.T * self.temperature.clamp(max=4.6).exp()


def facts_of(scenes: list[Scene]) -> torch.Tensor:
    """The number of each fact's value, (n, facts); 0 where a scene has none."""
    return torch.tensor(
        [
            [1 + known.index(value) if (value := getattr(s, name)) else 0 for name, known in FACTS.items()]
            for s in scenes
        ]
    )


def train(
    recipe: Recipe, tokenizer: CLIPTokenizer, folder: Path, device: str, begin: CLIPTextModel | None = None
) -> CLIPTextModel:
    """Train the text encoder."""
    torch.manual_seed(recipe.seed)
    model = TextAndFacts(begin or build(recipe, tokenizer), recipe.text_width).to(device)
    model.text.set_attn_implementation("eager")  # at these sizes faster than the fused kernel on a CPU

    def batch(
        words: random.Random, count: int, kind: Callable[[Scene, random.Random], str]
    ) -> tuple[list[str], torch.Tensor, torch.Tensor]:
        scenes = unreserved_scenes(words, count)
        texts = [kind(scene, words) for scene in scenes]
        padding = "max_length" if words.random() < 0.1 else "longest"
        return texts, tokenise(tokenizer, texts, padding).to(device), facts_of(scenes).to(device)

    def loss(step: int, rng: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        words = random.Random(f"text/{recipe.seed}/{step}")
        kind = training_caption if step % 2 else CAPTION_KINDS[step // 2 % len(CAPTION_KINDS)]
        texts, tokens, facts = batch(words, recipe.text.batch, kind)
        with mixed(device):
            scores = model(tokens, facts)
        return agreement(scores.float(), texts), {}

    @torch.no_grad()
    def evaluate(average: nn.Module) -> dict[str, float]:
        _, tokens, facts = batch(random.Random("unseen"), 200, training_caption)
        right = average(tokens, facts).argmax(1) == torch.arange(200, device=device)
        return {"recall_at_1_of_200": right.float().mean().item()}

    return fit("text", model, recipe.text, loss, folder, seed=recipe.seed, evaluate=evaluate).text.eval()
