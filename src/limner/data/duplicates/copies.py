"""Near-copies of pictures: which of those that were learnt from a picture is most alike, mirrored or not."""

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
"""The likeness from which on a picture is called a near-copy; docs/metrics.md tells how often that is right."""
FLAT = 1e-3


@dataclass(frozen=True, slots=True)
class CopyMatch:
    """The most alike of some pictures. likeness: 0 to 1. mirrored: whether it is alike in a mirror."""

    picture: Path
    likeness: float
    mirrored: bool

    @property
    def is_copy(self) -> bool:
        return self.likeness >= NEAR_COPY


def nearest_copies(pictures: Sequence[Path], among: Sequence[Path]) -> list[CopyMatch]:
    """For each picture the one of `among` that it is most a copy of.

    Likeness is the cosine of their gradients at 24 x 24 pixels, of the picture as it is or mirrored, at least 0: what a
    difference hash tells in bits, without rounding. Other sizes, JPEG, brightness and contrast leave it above 0.9; what
    is cropped by more than a few percent is not found, and neither is the same subject in another place or pose. Two
    pictures on flat backdrops with their subjects alike in form and place are copies by this, whatever their colours.
    """
    if not among:
        raise LimnerError("there are no pictures to be a copy of", "name the training pictures")
    small, known = _lumas(pictures), forms(_lumas(among))
    plain, mirrored = _alike(forms(small), known), _alike(forms(small[:, :, ::-1]), known)
    found = enumerate(np.maximum(plain, mirrored).argmax(1).tolist())
    return [
        CopyMatch(among[at], float(max(plain[i, at], mirrored[i, at])), bool(mirrored[i, at] > plain[i, at]))
        for i, at in found
    ]


def small_luma(picture: Image.Image) -> np.ndarray:
    """Luma (24, 24) in uint8 of a picture, stretched to a square."""
    return np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def forms(luma: np.ndarray) -> np.ndarray:
    """Gradients (n, 2 * 24 * 24) of floats (n, 24, 24), of length 1; of flat ones 0."""
    down, across = np.gradient(luma, axis=(1, 2))
    found = np.concatenate([down.reshape(len(luma), -1), across.reshape(len(luma), -1)], axis=1)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(lengths > FLAT, found / np.maximum(lengths, FLAT), 0)


def _lumas(paths: Sequence[Path]) -> np.ndarray:
    return np.stack([small_luma(open_image(path)) for path in paths]).astype(np.float64)


def _alike(forms: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Cosines (n, m) from 0 to 1; two flat pictures are alike."""
    shown, there = forms.any(axis=1), known.any(axis=1)
    return np.where(np.logical_or.outer(shown, there), np.clip(forms @ known.T, 0, 1), 1.0)
