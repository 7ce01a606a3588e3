"""The parts of a starter, as pretraining hands them from stage to stage."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from limner.starter.judge import Judge
from limner.starter.judge.network import JudgeNetwork

JUDGE = Path("judge", "model.safetensors")


@dataclass
class Parts:
    """What is trained so far, in fp32; `scores` and `training` tell what an earlier starter brought along."""

    tokenizer: CLIPTokenizer
    vae: AutoencoderKL | None = None
    text: CLIPTextModel | None = None
    image: CLIPVisionModelWithProjection | None = None
    unet: UNet2DConditionModel | None = None
    judge: JudgeNetwork | None = None
    scores: dict[str, float] = field(default_factory=dict)
    training: list[dict] = field(default_factory=list)

    @classmethod
    def load(cls, folder: Path) -> Parts:
        """The parts of a finished starter."""
        told = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        return cls(
            CLIPTokenizer.from_pretrained(folder / "tokenizer"),
            AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32).eval(),
            CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval(),
            CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder", dtype=torch.float32).eval(),
            UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32),
            Judge.load(folder / JUDGE).network,
            told["scores"],
            told["training"],
        )
