"""Encoders of images and texts by name: the starter's, a CLIP or SigLIP, or a vision network of transformers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.metrics import Encoder
from limner.imaging.decode import open_image
from limner.models import loading
from limner.models.cache import MODELS
from limner.models.features import check_reads_text
from limner.models.hub import hub_errors, is_repository, on_disk
from limner.plugins.registry import aliases

BATCH = 32
CACHED_FEATURES = 100_000
"""Images whose features an encoder keeps: some 300 MB at 768 numbers each."""
LONGEST_TEXT = 512
"""Most tokens of a text that a sentence encoder reads."""
CPU = torch.device("cpu")


class NetworkEncoder:
    """Features of images, and of texts if the network has a text encoder. Each image file is encoded once.

    encode_images, encode_texts: the network's features (n, d) of images and texts. modules: its parts, for their size.
    """

    def __init__(
        self,
        name: str,
        encode_images: Callable[[Sequence[Image.Image]], torch.Tensor],
        encode_texts: Callable[[Sequence[str]], torch.Tensor] | None,
        modules: Sequence[torch.nn.Module] = (),
    ) -> None:
        self.name, self._encode_images, self._encode_texts = name, encode_images, encode_texts
        self._modules = modules
        self._features: dict[tuple[Path, int], torch.Tensor] = {}

    @property
    def bytes(self) -> int:
        """The size of the network in memory."""
        return sum(tensor.nbytes for part in self._modules for tensor in (*part.parameters(), *part.buffers()))

    def images(self, pictures: Sequence[Path]) -> torch.Tensor:
        keys = [(path, path.stat().st_mtime_ns) for path in pictures]
        found = {key: self._features[key] for key in keys if key in self._features}
        new = [key for key in dict.fromkeys(keys) if key not in found]
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            found |= zip(batch, self.see([open_image(path) for path, _ in batch]), strict=True)
        self._features |= found
        for key in list(self._features)[:-CACHED_FEATURES]:
            del self._features[key]
        return torch.stack([found[key] for key in keys])

    @torch.inference_mode()
    def see(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        with _full_precision():
            return self._unit_length(self._encode_images(pictures))

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        if self._encode_texts is None:
            raise LimnerError(
                f"the encoder {self.name!r} has no text encoder", "use an encoder of images and texts, such as a CLIP"
            )
        with _full_precision():
            return self._unit_length(self._encode_texts(texts))

    def _unit_length(self, features: torch.Tensor) -> torch.Tensor:
        """Features (n, d) of any device -> fp32 of length 1, on the CPU."""
        if not torch.isfinite(features).all():
            raise LimnerError(f"the encoder {self.name!r} returned values that are not finite", "use another encoder")
        return F.normalize(features.float(), dim=-1).cpu()


def open_encoder(name: str, device: torch.device = CPU) -> Encoder:
    """The encoder of a name, on a device. Those used last stay in memory, as many as leave room for models.

    name: an alias or folder of a base model with an image encoder, or a folder or Hugging Face id of a CLIP, a SigLIP,
    a DINO or another vision network of transformers. Raises LimnerError where there is none.
    """

    def load() -> tuple[NetworkEncoder, list[torch.nn.Module]]:
        encoder = _load(name, device)
        return encoder, list(encoder._modules)

    return MODELS.encoder((name, str(device)), load, lambda: loading.memory_budget(device))


def open_text_encoder(name: str, device: torch.device = CPU) -> Encoder:
    """The encoder of texts of a name, on a device: that of an encoder of images and texts, or a sentence encoder.

    name: as in `open_encoder`, or a folder or Hugging Face id of a sentence encoder. Raises LimnerError where there is
    none.
    """
    location = loading.resolve(name).location if name in aliases() else name
    place = on_disk(location)
    if (place is not None and (place / "image_encoder").is_dir()) or _has_images(name, location):
        encoder = open_encoder(name, device)
        check_reads_text(encoder)
        return encoder

    def load() -> tuple[NetworkEncoder, list[torch.nn.Module]]:
        encoder = _sentence_encoder(name, location, device)
        return encoder, list(encoder._modules)

    return MODELS.encoder((f"{name} (texts)", str(device)), load, lambda: loading.memory_budget(device))


def _has_images(name: str, location: str) -> bool:
    """Whether a model of transformers has an encoder of images."""
    from transformers import AutoConfig

    if on_disk(location) is None and not is_repository(location):
        raise LimnerError(
            f"there is no encoder {name!r}", "give an alias, a folder, or OWNER/NAME of the Hugging Face hub"
        )
    with hub_errors(name, "encoder"):
        config: Any = AutoConfig.from_pretrained(location)
    return hasattr(config, "vision_config")


def _sentence_encoder(name: str, location: str, device: torch.device) -> NetworkEncoder:
    """A text model of transformers, whose states are averaged, or of which the first counts where it says so (Reimers
    and Gurevych 2019, arXiv 1908.10084).
    """
    from transformers import AutoModel, AutoTokenizer

    with hub_errors(name, "encoder"):
        model: Any = AutoModel.from_pretrained(location, dtype=torch.float32, use_safetensors=True).eval()
        tokenizer: Any = AutoTokenizer.from_pretrained(location)
        first = _pools_first(location)
    if model.main_input_name != "input_ids":
        raise LimnerError(f"{name!r} has no text encoder", "use a sentence encoder, or a CLIP")
    model.to(device)

    def encode_texts(texts: Sequence[str]) -> torch.Tensor:
        tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=_longest(model), return_tensors="pt")
        tokens = tokens.to(device)
        states = model(**tokens).last_hidden_state
        if first:
            return states[:, 0]
        counted = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
        return (states * counted).sum(1) / counted.sum(1).clamp(min=1)

    def encode_images(images: Sequence[Image.Image]) -> torch.Tensor:
        raise LimnerError(f"{name!r} has no image encoder", "use a CLIP, a DINO or another vision network")

    return NetworkEncoder(name, encode_images, encode_texts, (model,))


def _pools_first(location: str) -> bool:
    """Whether a sentence encoder takes the state of the first token, by its own file."""
    from transformers.utils import cached_file

    found = cached_file(location, "1_Pooling/config.json", _raise_exceptions_for_missing_entries=False)
    return found is not None and bool(json.loads(Path(found).read_text("utf-8")).get("pooling_mode_cls_token"))


def _longest(model: Any) -> int:
    """Most tokens of a text."""
    return min(LONGEST_TEXT, getattr(model.config, "max_position_embeddings", LONGEST_TEXT) - 2)


def _load(name: str, device: torch.device) -> NetworkEncoder:
    location = loading.resolve(name).location if name in aliases() else name
    place = on_disk(location)
    if place is not None and (place / "image_encoder" / "config.json").is_file():
        return _from_pipeline(name, place, device)
    return _from_transformers(name, location, device)


def _from_pipeline(name: str, place: Path, device: torch.device) -> NetworkEncoder:
    """The text and image encoders of a diffusers pipeline, such as the starter."""
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPTextModel, CLIPVisionModelWithProjection

    with hub_errors(name, "encoder"):
        vision: Any = CLIPVisionModelWithProjection.from_pretrained(place / "image_encoder", dtype=torch.float32).eval()
        text: Any = CLIPTextModel.from_pretrained(place / "text_encoder", dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(place / "tokenizer")
        processor = CLIPImageProcessorPil.from_pretrained(place / "feature_extractor")
    if vision.config.projection_dim != text.config.hidden_size:
        raise LimnerError(
            f"the text and image encoders of {name!r} do not match: their features have {text.config.hidden_size} and "
            f"{vision.config.projection_dim} dimensions",
            "use an encoder by itself",
        )
    vision.to(device)
    text.to(device)

    def encode_images(images: Sequence[Image.Image]) -> torch.Tensor:
        return vision(**_inputs(processor, images, device)).image_embeds

    def encode_texts(texts: Sequence[str]) -> torch.Tensor:
        return text(**_tokens(tokenizer, texts, device)).pooler_output

    return NetworkEncoder(name, encode_images, encode_texts, (vision, text))


def _from_transformers(name: str, location: str, device: torch.device) -> NetworkEncoder:
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    if on_disk(location) is None and not is_repository(location):
        raise LimnerError(
            f"there is no encoder {name!r}", "give an alias, a folder, or OWNER/NAME of the Hugging Face hub"
        )
    with hub_errors(name, "encoder"):
        model = AutoModel.from_pretrained(location, dtype=torch.float32, use_safetensors=True).eval()
        processor = AutoImageProcessor.from_pretrained(location, use_fast=False)
        has_text = hasattr(model, "get_text_features")
        tokenizer = AutoTokenizer.from_pretrained(location) if has_text else None
    if not has_text and model.main_input_name != "pixel_values":
        raise LimnerError(f"{name!r} has no image encoder", "use a CLIP, a DINO or another vision network")
    model.to(device)

    def encode_images(images: Sequence[Image.Image]) -> torch.Tensor:
        inputs = _inputs(processor, images, device)
        return _pooled(model.get_image_features(**inputs)) if has_text else image_features(model(**inputs))

    def encode_texts(texts: Sequence[str]) -> torch.Tensor:
        return _pooled(model.get_text_features(**_tokens(tokenizer, texts, device)))

    return NetworkEncoder(name, encode_images, encode_texts if has_text else None, (model,))


def _inputs(processor: Any, images: Sequence[Image.Image], device: torch.device) -> Any:
    return processor(images=list(images), return_tensors="pt").to(device)


def _tokens(tokenizer: Any, texts: Sequence[str], device: torch.device) -> Any:
    return tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt").to(device)


def image_features(output: Any) -> torch.Tensor:
    """Features (n, d) of whole images by a vision network: its first token (Caron et al. 2021, arXiv 2104.14294, as in
    the DreamBooth protocol), or where it has no tokens, the mean over positions.
    """
    states = output.last_hidden_state
    return states[:, 0] if states.ndim == 3 else states.mean((2, 3))


def _pooled(output: Any) -> torch.Tensor:
    return output if isinstance(output, torch.Tensor) else output.pooler_output


@contextmanager
def _full_precision() -> Iterator[None]:
    """Convolutions of a GPU in fp32 and not in TF32, whose rounding would show in scores."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
