"""A finished starter whose weights further training begins with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from .contrastive import Encoders
from .recipe import Recipe


@dataclass(frozen=True)
class Start:
    """The parts of a finished starter in fp32, its scores, and one row for each stage that trained it so far."""

    vae: AutoencoderKL
    encoders: Encoders
    unet: UNet2DConditionModel
    tokenizer: CLIPTokenizer
    scores: dict[str, float]
    training: list[dict]

    @classmethod
    def load(cls, folder: Path, recipe: Recipe) -> Start:
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        encoders = Encoders(recipe, tokenizer)
        encoders.text = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
        encoders.image = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder", dtype=torch.float32)
        told = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        return cls(
            AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32).eval(),
            encoders.eval(),
            UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32),
            tokenizer,
            told["scores"],
            told["training"],
        )
