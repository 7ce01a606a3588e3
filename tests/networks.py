"""Tiny encoders and heads with random weights, built in code as the folders that transformers reads."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
)

WORDS = ("[PAD]", "[UNK]", "[END]", "a", "photo", "of", "the", "cat", "dog", "on", "beach", "park", "red", "car")
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
WIDTH = 8
"""Of the tiny CLIP's features."""


def clip(folder: Path) -> Path:
    """A CLIP of 16 x 16 pixels and 14 words."""
    torch.manual_seed(0)
    config = CLIPConfig(
        vision_config=SMALL | {"image_size": 16, "patch_size": 4},
        text_config=SMALL | {"vocab_size": len(WORDS), "max_position_embeddings": 16, "eos_token_id": 2},
        projection_dim=WIDTH,
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", eos_token="[END]", model_max_length=16
    ).save_pretrained(folder)
    return folder


def sentences(folder: Path, first: bool = False) -> Path:
    """A sentence encoder of 14 words. first: whether it takes the state of the first token."""
    torch.manual_seed(6)
    BertModel(BertConfig(**SMALL, vocab_size=len(WORDS), max_position_embeddings=18)).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": first}))
    return folder


def dino(folder: Path) -> Path:
    """A DINOv2 of 16 x 16 pixels."""
    torch.manual_seed(1)
    Dinov2Model(Dinov2Config(**SMALL, image_size=16, patch_size=4)).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def rater(folder: Path, outputs: int = 1) -> Path:
    """A classifier of pictures with so many outputs."""
    torch.manual_seed(2)
    config = ViTConfig(**SMALL, image_size=16, patch_size=8, num_labels=outputs)
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def linear_head(file: Path, width: int = WIDTH) -> Path:
    """LAION's first aesthetic head in form: one layer."""
    torch.manual_seed(3)
    save_file({"weight": torch.randn(1, width), "bias": torch.tensor([5.0])}, file)
    return file


def deep_head(file: Path, width: int = WIDTH, **changes: torch.Tensor | None) -> Path:
    """LAION's second aesthetic head in form: five layers. changes: tensors in place of its own, None leaves one out."""
    torch.manual_seed(4)
    tensors: dict[str, torch.Tensor] = {}
    for at, (inside, outside) in {0: (width, 1024), 2: (1024, 128), 4: (128, 64), 6: (64, 16), 7: (16, 1)}.items():
        tensors[f"layers.{at}.weight"] = torch.randn(outside, inside) / inside**0.5
        tensors[f"layers.{at}.bias"] = torch.randn(outside)
    told = tensors | changes
    save_file({name: tensor for name, tensor in told.items() if tensor is not None}, file)
    return file
