"""Encoders of pictures and texts by name: the starter's own, CLIP and its kin, or a vision network of transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.metrics import Encoder
from limner.imaging.decode import open_image
from limner.models import loading
from limner.models.hub import hub_errors, is_repository, on_disk
from limner.plugins.registry import aliases

BATCH = 32


class Tower:
    """Features of pictures, and where there is a text tower, of texts; each picture is encoded once."""

    def __init__(
        self,
        name: str,
        see: Callable[[Sequence[Image.Image]], torch.Tensor],
        read: Callable[[Sequence[str]], torch.Tensor] | None,
    ) -> None:
        self.name, self._see, self._read = name, see, read
        self._seen: dict[tuple[Path, int], torch.Tensor] = {}

    def images(self, pictures: Sequence[Path]) -> torch.Tensor:
        keys = [(path, path.stat().st_mtime_ns) for path in pictures]
        new = [key for key in dict.fromkeys(keys) if key not in self._seen]
        for start in range(0, len(new), BATCH):
            part = new[start : start + BATCH]
            self._seen |= zip(part, self.see([open_image(path) for path, _ in part]), strict=True)
        return torch.stack([self._seen[key] for key in keys])

    @torch.inference_mode()
    def see(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        return _unit(self._see(pictures), self.name)

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        if self._read is None:
            raise LimnerError(f"the encoder {self.name!r} reads no text", "name one of text and images, such as a CLIP")
        return _unit(self._read(texts), self.name)


@cache
def open_encoder(name: str) -> Encoder:
    """An encoder by its name: an alias or folder of a base model with an image encoder, or a folder or Hugging Face id
    of a CLIP, a SigLIP, a DINO or another vision network that transformers knows.
    """
    location = loading.resolve(name).location if name in aliases() else name
    place = on_disk(location)
    if place is not None and (place / "image_encoder" / "config.json").is_file():
        return _of_a_pipeline(name, place)
    return _of_transformers(name, location)


def _of_a_pipeline(name: str, place: Path) -> Tower:
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPTextModel, CLIPVisionModelWithProjection

    with hub_errors(name, "encoder"):
        vision = CLIPVisionModelWithProjection.from_pretrained(place / "image_encoder", dtype=torch.float32).eval()
        text = CLIPTextModel.from_pretrained(place / "text_encoder", dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(place / "tokenizer")
        processor = CLIPImageProcessorPil.from_pretrained(place / "feature_extractor")
    if vision.config.projection_dim != text.config.hidden_size:
        raise LimnerError(
            f"the text and image encoders of {name!r} do not belong together", "name an encoder by itself"
        )

    def see(pictures: Sequence[Image.Image]) -> torch.Tensor:
        return vision(**processor(images=list(pictures), return_tensors="pt")).image_embeds

    return Tower(name, see, _reader(tokenizer, lambda told: text(**told).pooler_output))


def _of_transformers(name: str, location: str) -> Tower:
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    if on_disk(location) is None and not is_repository(location):
        raise LimnerError(
            f"there is no encoder {name!r}", "name an alias, a folder, or OWNER/NAME of the Hugging Face hub"
        )
    with hub_errors(name, "encoder"):
        model = AutoModel.from_pretrained(location, dtype=torch.float32, use_safetensors=True).eval()
        processor = AutoImageProcessor.from_pretrained(location, use_fast=False)
        both = hasattr(model, "get_text_features")
        tokenizer = AutoTokenizer.from_pretrained(location) if both else None
    if not both:
        if model.main_input_name != "pixel_values":
            raise LimnerError(f"{name!r} sees no pictures", "name a CLIP, a DINO or another vision network")
        return Tower(name, lambda pictures: _summary(model(**_pixels(processor, pictures))), None)

    def see(pictures: Sequence[Image.Image]) -> torch.Tensor:
        return _tensor(model.get_image_features(**_pixels(processor, pictures)))

    return Tower(name, see, _reader(tokenizer, lambda told: _tensor(model.get_text_features(**told))))


def _pixels(processor: Any, pictures: Sequence[Image.Image]) -> Any:
    return processor(images=list(pictures), return_tensors="pt")


def _reader(tokenizer: Any, encode: Callable[[Any], torch.Tensor]) -> Callable[[Sequence[str]], torch.Tensor]:
    def read(texts: Sequence[str]) -> torch.Tensor:
        return encode(tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt"))

    return read


def _summary(told: Any) -> torch.Tensor:
    """What a vision network says of a whole picture: its first token, as Caron et al. 2021 (arXiv 2104.14294) and the
    DreamBooth protocol have it, or where there are no tokens, the mean over places.
    """
    states = told.last_hidden_state
    return states[:, 0] if states.ndim == 3 else states.mean((2, 3))


def _tensor(told: Any) -> torch.Tensor:
    return told if isinstance(told, torch.Tensor) else told.pooler_output


def _unit(features: torch.Tensor, name: str) -> torch.Tensor:
    if not torch.isfinite(features).all():
        raise LimnerError(f"the encoder {name!r} gave numbers that are none", "choose another one")
    return F.normalize(features.float(), dim=-1)
