"""Tiny detection and segmentation models with random weights, built in code as folders for transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPSegProcessor,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessorPil,
    OwlViTConfig,
    OwlViTForObjectDetection,
    OwlViTImageProcessorPil,
    OwlViTProcessor,
    PreTrainedTokenizerFast,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessorPil,
    SwinConfig,
    ViTImageProcessorPil,
    YolosConfig,
    YolosForObjectDetection,
    YolosImageProcessorPil,
)

WORDS = ("[PAD]", "[UNK]", "[END]", "a", "photo", "of", "the", "cat", "dog", "thing", "object")
LABELS = {0: "cat", 1: "dog", 2: "hot dog"}
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
SQUARE = {"height": 32, "width": 32}


def _tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", eos_token="[END]", model_max_length=8
    )


def boxing(folder: Path, certain: float = 4.0) -> Path:
    """A YOLOS of three labels; certain: how much more likely dogs are than nothing."""
    torch.manual_seed(0)
    config = YolosConfig(
        **SMALL,
        image_size=[32, 32],
        patch_size=8,
        num_detection_tokens=5,
        id2label=LABELS,
        use_mid_position_embeddings=False,
    )
    model = YolosForObjectDetection(config)
    with torch.no_grad():
        for layer in model.bbox_predictor.layers:
            layer.weight.mul_(20)
        model.class_labels_classifier.layers[-1].bias.copy_(torch.tensor([0.0, certain, 0.0, 0.0]))
    model.save_pretrained(folder)
    YolosImageProcessorPil(size={"shortest_edge": 32, "longest_edge": 48}).save_pretrained(folder)
    return folder


def reading(folder: Path) -> Path:
    """An OWL-ViT of 32 x 32 pixels."""
    torch.manual_seed(1)
    config = OwlViTConfig(
        text_config=SMALL | {"vocab_size": len(WORDS), "max_position_embeddings": 8, "eos_token_id": 2},
        vision_config=SMALL | {"image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    OwlViTForObjectDetection(config).save_pretrained(folder)
    processor = OwlViTProcessor(OwlViTImageProcessorPil(size=SQUARE, crop_size=SQUARE), _tokenizer())
    processor.save_pretrained(folder)
    return folder


def semantic(folder: Path) -> Path:
    """A SegFormer of three labels."""
    torch.manual_seed(2)
    config = SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 16],
        patch_sizes=[3, 3],
        strides=[2, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=16,
        id2label=LABELS,
    )
    model = SegformerForSemanticSegmentation(config)
    with torch.no_grad():
        model.decode_head.classifier.weight.mul_(50)
    model.save_pretrained(folder)
    SegformerImageProcessorPil(size=SQUARE).save_pretrained(folder)
    return folder


def instances(folder: Path) -> Path:
    """A Mask2Former of three labels on a Swin."""
    torch.manual_seed(3)
    swin = SwinConfig(
        image_size=32,
        patch_size=2,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=swin,
        hidden_dim=32,
        feature_size=32,
        mask_feature_size=32,
        num_attention_heads=2,
        dim_feedforward=16,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        num_queries=5,
        id2label=LABELS,
    )
    model = Mask2FormerForUniversalSegmentation(config)
    with torch.no_grad():
        model.class_predictor.bias.copy_(torch.tensor([0.0, 9.0, 0.0, 0.0]))
    model.save_pretrained(folder)
    Mask2FormerImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def segmenting_by_words(folder: Path) -> Path:
    """A CLIPSeg of 32 x 32 pixels."""
    torch.manual_seed(4)
    config = CLIPSegConfig(
        text_config=SMALL | {"vocab_size": len(WORDS), "max_position_embeddings": 8, "eos_token_id": 2},
        vision_config=SMALL | {"image_size": 32, "patch_size": 8, "num_hidden_layers": 2},
        projection_dim=16,
        reduce_dim=8,
        extract_layers=[0, 1],
        conditional_layer=0,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
    )
    CLIPSegForImageSegmentation(config).save_pretrained(folder)
    CLIPSegProcessor(ViTImageProcessorPil(size=SQUARE), _tokenizer()).save_pretrained(folder)
    return folder


def faces(folder: Path, score: float = 0.9) -> Path:
    """YuNet's inputs and outputs in an ONNX file, which says that each place of 32 x 32 pixels is a face where red is
    above the middle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    nodes, outputs, weights = b"", b"", b""
    for stride in (8, 16, 32):
        red = np.zeros((1, 3, stride, stride), np.float32)
        red[0, 2] = (8 if stride == 32 else 0) / stride**2 / 255  # pixels come as BGR
        parts = {
            "cls": (red, np.array([-4.0 if stride == 32 else -99.0], np.float32)),
            "obj": (red * 0, np.array([float(np.log(score / (1 - score)))], np.float32)),
            "bbox": (np.zeros((4, 3, stride, stride), np.float32), np.array([0.5, 0.5, 0, 0], np.float32)),
            "kps": (np.zeros((10, 3, stride, stride), np.float32), np.zeros(10, np.float32)),
        }
        for part, (kernel, bias) in parts.items():
            name = f"{part}_{stride}"
            weights += _field(5, _tensor(f"{name}_w", kernel)) + _field(5, _tensor(f"{name}_b", bias))
            shape = np.array([1, -1, len(bias)], np.int64)
            weights += _field(5, _tensor(f"{name}_s", shape))
            places = [_ints("strides", (stride, stride)), _ints("kernel_shape", (stride, stride))]
            last = f"{name}_r" if part in ("cls", "obj") else name
            nodes += _node("Conv", ("input", f"{name}_w", f"{name}_b"), f"{name}_c", places)
            nodes += _node("Transpose", (f"{name}_c",), f"{name}_t", [_ints("perm", (0, 2, 3, 1))])
            nodes += _node("Reshape", (f"{name}_t", f"{name}_s"), last, [])
            if last != name:
                nodes += _node("Sigmoid", (last,), name, [])
            outputs += _field(12, _value(name, (1, 1, len(bias))))
    graph = nodes + _field(2, b"faces") + weights + _field(11, _value("input", (1, 3, 640, 640))) + outputs
    model = _field(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _field(2, 13))
    path = folder / "faces.onnx"
    path.write_bytes(model)
    return path


def _field(number: int, value: bytes | int) -> bytes:
    """A field of a protocol buffer: bytes with their length, or a number."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _tensor(name: str, values: np.ndarray) -> bytes:
    dims = b"".join(_field(1, side) for side in values.shape)
    return (
        dims
        + _field(2, 1 if values.dtype == np.float32 else 7)
        + _field(8, name.encode())
        + _field(9, values.tobytes())
    )


def _ints(name: str, values: tuple[int, ...]) -> bytes:
    return _field(1, name.encode()) + b"".join(_field(8, value) for value in values) + _field(20, 7)


def _node(kind: str, inputs: tuple[str, ...], output: str, attributes: list[bytes]) -> bytes:
    node = b"".join(_field(1, name.encode()) for name in inputs) + _field(2, output.encode())
    node += _field(3, f"{output}_{kind}".encode()) + _field(4, kind.encode())
    return _field(1, node + b"".join(_field(5, attribute) for attribute in attributes))


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_field(1, _field(1, side)) for side in shape)
    return _field(1, name.encode()) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))
