"""Near copies: for each image the training image that is most similar in form, also mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.imaging.decode import open_image

SIDE = 24
NEAR_COPY = 0.8
"""The similarity from which on an image is called a near copy; docs/metrics.md states how often that is right."""
FLAT = 1e-3


@dataclass(frozen=True, slots=True)
class CopyMatch:
    """The most similar image of a set. similarity: 0 to 1. mirrored: whether its mirror image is more similar."""

    image: Path
    similarity: float
    mirrored: bool

    @property
    def is_copy(self) -> bool:
        """Whether the similarity is that of a near copy."""
        return self.similarity >= NEAR_COPY


def nearest_copies(images: Sequence[Path], among: Sequence[Path]) -> list[CopyMatch]:
    """For each image the most similar one of `among`.

    The similarity is the cosine of the gradients at 24 x 24 pixels, of the image or its mirror image, at least 0: a
    difference hash without rounding to bits. Resizing, JPEG, brightness and contrast leave it above 0.9. Crops by more
    than a few percent are not found, nor the same subject in another position or pose. Two images on flat backgrounds
    with subjects of the same form and position count as copies, whatever their colours. Raises LimnerError if `among`
    is empty.
    """
    if not among:
        raise LimnerError("there are no training images to compare with", "name the training images")
    small, known = _lumas(images), gradients(_lumas(among))
    plain, mirrored = _similarities(gradients(small), known), _similarities(gradients(small[:, :, ::-1]), known)
    found = enumerate(np.maximum(plain, mirrored).argmax(1).tolist())
    return [
        CopyMatch(among[at], float(max(plain[i, at], mirrored[i, at])), bool(mirrored[i, at] > plain[i, at]))
        for i, at in found
    ]


def small_luma(image: Image.Image) -> np.ndarray:
    """Luma (24, 24) in uint8 of an image, stretched to a square."""
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def gradients(luma: np.ndarray) -> np.ndarray:
    """Gradients (n, 2 * 24 * 24) of luma (n, 24, 24), scaled to length 1; 0 for flat images."""
    down, across = np.gradient(luma, axis=(1, 2))
    found = np.concatenate([down.reshape(len(luma), -1), across.reshape(len(luma), -1)], axis=1)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(lengths > FLAT, found / np.maximum(lengths, FLAT), 0)


def _lumas(paths: Sequence[Path]) -> np.ndarray:
    return np.stack([small_luma(open_image(path)) for path in paths]).astype(np.float64)


def _similarities(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosines (n, m) from 0 to 1 of gradients; 1 for two flat images."""
    textured = np.logical_or.outer(first.any(axis=1), second.any(axis=1))
    return np.where(textured, np.clip(first @ second.T, 0, 1), 1.0)
