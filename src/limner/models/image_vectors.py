"""Vectors of images by how they look, from the starter's image encoder, in numpy.

It is a CLIP vision transformer (Radford et al. 2021, arXiv:2103.00020) of a million weights. Without torch a server
that only compares images stays small, and a command answers at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from limner.models.loading import resolve

ENCODER, DIMENSIONS = "starter", 192
SINGLE_THREAD = 2**18
"""Most multiplications of a product that OpenBLAS computes in one thread."""
Array = NDArray[Any]


def image_vectors(images: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Unit vectors (n, DIMENSIONS) of images."""
    if not images:
        return np.empty((0, DIMENSIONS), np.float32)
    return np.concatenate([_encoder()(image) for image in images])


@cache
def _encoder() -> VisionEncoder:
    return VisionEncoder(Path(resolve(ENCODER).location))


class VisionEncoder:
    """The image encoder of a pipeline in a folder: its weights, and how its processor prepares an image."""

    def __init__(self, pipeline: Path) -> None:
        from safetensors.numpy import load_file

        stored = load_file(pipeline / "image_encoder" / "model.safetensors")
        self._weights: Mapping[str, Array] = {name: values.astype(np.float32) for name, values in stored.items()}
        self._config: dict[str, Any] = _json(pipeline / "image_encoder" / "config.json")
        self._processor: dict[str, Any] = _json(pipeline / "feature_extractor" / "preprocessor_config.json")

    def __call__(self, image: Image.Image) -> Array:
        """The unit vector (1, d) of an image."""
        states = self._embedded(self._pixels(image))
        states = self._normed("vision_model.pre_layrnorm", states)
        for layer in range(self._config["num_hidden_layers"]):
            name = f"vision_model.encoder.layers.{layer}"
            states = states + self._attended(f"{name}.self_attn", self._normed(f"{name}.layer_norm1", states))
            hidden = self._linear(f"{name}.mlp.fc1", self._normed(f"{name}.layer_norm2", states))
            states = states + self._linear(f"{name}.mlp.fc2", hidden / (1 + np.exp(-1.702 * hidden)))  # quick GELU
        pooled = self._normed("vision_model.post_layernorm", states[:1])
        features = _product(pooled, self._weights["visual_projection.weight"])
        return features / np.linalg.norm(features)

    def _pixels(self, image: Image.Image) -> Array:
        """The middle square of an image, (3, side, side)."""
        side = self._config["image_size"]
        width, height = image.size
        scale = side / min(width, height)
        size = max(side, int(width * scale)), max(side, int(height * scale))
        left, top = (size[0] - side) // 2, (size[1] - side) // 2
        shown = image.convert("RGB").resize(size, Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))
        mean, deviation = (np.asarray(self._processor[f"image_{name}"], np.float32) for name in ("mean", "std"))
        return ((np.asarray(shown, np.float32) / 255 - mean) / deviation).transpose(2, 0, 1)

    def _embedded(self, pixels: Array) -> Array:
        """The states (1 + patches, width) of pixels (3, side, side): the class token, then patches row by row."""
        patch, width = self._config["patch_size"], self._config["hidden_size"]
        count = pixels.shape[1] // patch
        patches = pixels.reshape(3, count, patch, count, patch).transpose(1, 3, 0, 2, 4).reshape(count * count, -1)
        name = "vision_model.embeddings"
        tokens = _product(patches, self._weights[f"{name}.patch_embedding.weight"].reshape(width, -1))
        states = np.concatenate([self._weights[f"{name}.class_embedding"][None], tokens])
        return states + self._weights[f"{name}.position_embedding.weight"]

    def _attended(self, name: str, states: Array) -> Array:
        heads = self._config["num_attention_heads"]
        query, key, value = (
            self._linear(f"{name}.{part}_proj", states).reshape(len(states), heads, -1).transpose(1, 0, 2)
            for part in ("q", "k", "v")
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(np.float32(query.shape[-1]))
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (shares / shares.sum(-1, keepdims=True)) @ value
        return self._linear(f"{name}.out_proj", mixed.transpose(1, 0, 2).reshape(len(states), -1))

    def _linear(self, name: str, states: Array) -> Array:
        return _product(states, self._weights[f"{name}.weight"]) + self._weights[f"{name}.bias"]

    def _normed(self, name: str, states: Array) -> Array:
        centred = states - states.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(self._config["layer_norm_eps"]))
        return centred / deviation * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _product(states: Array, weights: Array) -> Array:
    """states (m, k) times the transpose of weights (n, k), some columns at a time.

    Each part is too small for OpenBLAS to divide it among threads. Threads make products of this size slower, and ten
    times as slow on a machine that does other work, as they wait for each other.
    """
    columns, depth = weights.shape
    size = max(1, min(columns, SINGLE_THREAD // (len(states) * depth)))
    while columns % size:
        size -= 1
    parts = states @ weights.reshape(columns // size, size, depth).transpose(0, 2, 1)
    return parts.transpose(1, 0, 2).reshape(len(states), columns)


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
