"""Tiny captioning models with random weights, built in code as folders for transformers."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    BlipProcessor,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GitConfig,
    GitForCausalLM,
    GitProcessor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTImageProcessorPil,
)

TOLD = "a photo of the cat dog on beach park red car ASK : ."
WORDS = ("[PAD]", "[UNK]", "[BOS]", "[END]", "<image>", *TOLD.split(" "))
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
IDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
TEMPLATE = (
    "ASK : {% for part in messages[0].content %}{{ '<image>' if part.type == 'image' else part.text }} {% endfor %}"
)


def lively(model: PreTrainedModel) -> PreTrainedModel:
    """The model with weights so large that different images get different captions."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(std=0.7)
    return model


def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="[PAD]",
        unk_token="[UNK]",
        bos_token="[BOS]",
        eos_token="[END]",
        additional_special_tokens=["<image>"],
        model_max_length=256,
    )


def blip(folder: Path) -> Path:
    torch.manual_seed(1)
    config = BlipConfig(
        vision_config=SMALL | {"image_size": 16, "patch_size": 4},
        text_config=SMALL | {"vocab_size": len(WORDS), "sep_token_id": 3, "encoder_hidden_size": 16} | IDS,
    )
    lively(BlipForConditionalGeneration(config)).save_pretrained(folder)
    size = {"height": 16, "width": 16}
    BlipProcessor(BlipImageProcessorPil(size=size), tokenizer()).save_pretrained(folder)
    return folder


def git(folder: Path) -> Path:
    torch.manual_seed(2)
    config = GitConfig(vision_config=SMALL | {"image_size": 16, "patch_size": 4}, vocab_size=len(WORDS), **SMALL, **IDS)
    lively(GitForCausalLM(config)).save_pretrained(folder)
    size = {"image_processor": {"shortest_edge": 16}, "crop": {"height": 16, "width": 16}}
    images = CLIPImageProcessorPil(size=size["image_processor"], crop_size=size["crop"])
    GitProcessor(images, tokenizer()).save_pretrained(folder)
    return folder


def encoder_decoder(folder: Path) -> Path:
    torch.manual_seed(3)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        ViTConfig(**SMALL, image_size=16, patch_size=4),
        BertConfig(**SMALL, vocab_size=len(WORDS), is_decoder=True, add_cross_attention=True, **IDS),
    )
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 2, 0, 3
    model = lively(VisionEncoderDecoderModel(config))
    model.generation_config.decoder_start_token_id = 2
    model.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def llava(folder: Path) -> Path:
    torch.manual_seed(4)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**SMALL, image_size=16, patch_size=4),
        text_config=LlamaConfig(**SMALL, vocab_size=len(WORDS), num_key_value_heads=2, **IDS),
        image_token_index=4,
        vision_feature_layer=-1,
    )
    lively(LlavaForConditionalGeneration(config)).save_pretrained(folder)
    images = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    LlavaProcessor(
        images,
        tokenizer(),
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return folder


MODELS = {"blip": blip, "git": git, "encoder_decoder": encoder_decoder, "llava": llava}
