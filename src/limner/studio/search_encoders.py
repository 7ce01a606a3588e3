"""The encoders of the search index: those that come with Limner, or others by name, kept in a file of the home."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from limner.core.errors import LimnerError
from limner.models import image_vectors, text_vectors
from limner.store.files import atomic_file

CHOICE = "search-encoders.json"
MULTIPLE = 64
"""Vectors of the index have a multiple of so many dimensions; others are filled with zeros."""
SEEN_SIDE = 256
"""Longest side of the copies of images that are encoded."""
TRIED = "a photo of a dog"
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Choice:
    """Encoders by name, and the dimensions of their vectors. meaning: of texts. looks: of images."""

    meaning: str = text_vectors.ENCODER
    meaning_dimensions: int = text_vectors.DIMENSIONS
    looks: str = image_vectors.ENCODER
    looks_dimensions: int = image_vectors.DIMENSIONS


class SearchEncoders:
    """The encoders that a home has chosen."""

    def __init__(self, home: Path) -> None:
        self._file = home / CHOICE
        self._read: tuple[int, Choice] = (0, Choice())

    @property
    def choice(self) -> Choice:
        """What is chosen; by default the encoders of Limner. Raises LimnerError for a damaged file."""
        try:
            stamp = os.stat(self._file).st_mtime_ns
            if self._read[0] != stamp:
                self._read = stamp, Choice(**json.loads(self._file.read_text(encoding="utf-8")))
            return self._read[1]
        except FileNotFoundError:
            return Choice()
        except (OSError, ValueError, TypeError) as error:
            raise LimnerError(f"{str(self._file)!r} cannot be read ({error})", "remove it") from error

    def choose(self, meaning: str | None, looks: str | None) -> None:
        """Choose encoders by name; None leaves one as it is. Raises LimnerError for what is none."""
        now = self.choice
        chosen = Choice(
            meaning or now.meaning,
            now.meaning_dimensions if meaning is None else _texts(meaning, [TRIED]).shape[1],
            looks or now.looks,
            now.looks_dimensions if looks is None else _images(looks, [Image.new("RGB", (64, 64))]).shape[1],
        )
        if chosen != now:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(self._file) as partial:
                partial.write_text(json.dumps(asdict(chosen)), encoding="utf-8")

    def texts(self, texts: Sequence[str]) -> Array:
        """Unit vectors (n, d) of texts."""
        return _texts(self.choice.meaning, texts)

    def images(self, images: Sequence[Image.Image]) -> Array:
        """Unit vectors (n, d) of images."""
        return _images(self.choice.looks, images)


def seen(image: Image.Image) -> Image.Image:
    """The copy of an image that is encoded, and whose colours are counted."""
    copy = image.convert("RGB")
    copy.thumbnail((SEEN_SIDE, SEEN_SIDE), Image.Resampling.BICUBIC)
    return copy


def _texts(name: str, texts: Sequence[str]) -> Array:
    if name == text_vectors.ENCODER:
        return text_vectors.text_vectors(texts)
    import torch

    from limner.engine.scoring.encoders import BATCH, open_text_encoder

    encoder = open_text_encoder(name)
    with torch.inference_mode():
        parts = [encoder.texts(texts[start : start + BATCH]).numpy() for start in range(0, len(texts), BATCH)]
    return _filled(parts)


def _images(name: str, images: Sequence[Image.Image]) -> Array:
    if name == image_vectors.ENCODER:
        return image_vectors.image_vectors(images)
    from limner.engine.scoring.encoders import BATCH, open_encoder

    encoder: Any = open_encoder(name)
    return _filled([encoder.see(images[start : start + BATCH]).numpy() for start in range(0, len(images), BATCH)])


def _filled(parts: Sequence[Array]) -> Array:
    """Vectors with zeros up to the next multiple of dimensions; cosines stay as they are."""
    vectors = np.concatenate(parts) if parts else np.empty((0, 0), np.float32)
    return np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % MULTIPLE)))
