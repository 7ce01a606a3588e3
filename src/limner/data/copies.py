"""Near-copies of pictures: which of those that were learnt from a picture is most alike, mirrored or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .photographs import open_photograph

SIDE = 24
NEAR_COPY = 0.8
"""The likeness from which on a picture is called a near-copy; docs/metrics.md tells how often that is right."""
FLAT = 1e-3


@dataclass(frozen=True, slots=True)
class Match:
    """The most alike of some pictures. likeness: 0 to 1. mirrored: whether it is alike in a mirror."""

    picture: Path
    likeness: float
    mirrored: bool

    @property
    def is_copy(self) -> bool:
        return self.likeness >= NEAR_COPY


def nearest_copies(pictures: Sequence[Path], among: Sequence[Path]) -> list[Match]:
    """For each picture the one of `among` that it is most a copy of.

    Likeness is the cosine of their gradients at 24 x 24 pixels, of the picture as it is or mirrored, at least 0: what a
    difference hash tells in bits, without rounding. Other sizes, JPEG, brightness and contrast leave it above 0.9; what
    is cropped by more than a few percent is not found, and neither is the same subject in another place or pose. Two
    pictures on flat backdrops with their subjects alike in form and place are copies by this, whatever their colours.
    """
    known = _forms(map(open_photograph, among))
    opened = [open_photograph(path) for path in pictures]
    plain = _alike(_forms(opened), known)
    mirrored = _alike(_forms(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in opened), known)
    best = np.maximum(plain, mirrored)
    found = best.argmax(1)
    return [
        Match(among[at], float(best[i, at]), bool(mirrored[i, at] > plain[i, at]))
        for i, at in enumerate(found.tolist())
    ]


def _forms(pictures: Iterable[Image.Image]) -> np.ndarray:
    """Gradients (n, 2 * 24 * 24) of pictures, of length 1; of flat ones 0."""
    found = np.stack([_gradients(picture) for picture in pictures])
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(lengths > FLAT, found / np.maximum(lengths, FLAT), 0)


def _gradients(picture: Image.Image) -> np.ndarray:
    small = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    down, across = np.gradient(np.asarray(small, dtype=np.float64))
    return np.concatenate([down.ravel(), across.ravel()])


def _alike(forms: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Cosines (n, m) from 0 to 1; two flat pictures are alike."""
    flat = ~forms.any(1)[:, None] & ~known.any(1)[None]
    return np.where(flat, 1.0, np.clip(forms @ known.T, 0, 1))
