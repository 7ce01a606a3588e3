"""Encoded images and captions: the latents and text conditioning that training draws batches from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F

from limner.core.protocols import Batch, Components, Family
from limner.data.sets.pixels import Crops

BATCH = 8
"""How many images or captions are encoded at once."""
CPU = torch.device("cpu")


class ImageSource(Protocol):
    """Images of one size that are read a part at a time."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice) -> Crops: ...


@dataclass(frozen=True)
class Examples:
    """Encoded images of one size, and their captions. They stay on the CPU, as a large set would fill a GPU.

    latents: (n, views, c, h, w); the views are the image and, where asked, its mirror image. captions: m different
    ones, encoded as the tensors (m, ...) of `text`. caption_of: the index of each image's caption. frames: (n, 6), as a
    Batch has them. masks: (n, views, 1, h, w) or None. device: where batches go. weights: how often each image is
    shown, relative to the others; None where all are shown alike.
    """

    latents: torch.Tensor
    captions: tuple[str, ...]
    text: Mapping[str, torch.Tensor]
    caption_of: tuple[int, ...]
    frames: torch.Tensor
    masks: torch.Tensor | None = None
    device: torch.device = CPU
    weights: tuple[float, ...] | None = None

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def size(self) -> torch.Size:
        """Channels, height and width of the latents of one image."""
        return self.latents.shape[2:]

    def batch(self, indices: list[int], views: list[int], text: Mapping[str, torch.Tensor]) -> Batch:
        """The batch of some images, each in one of its views, with encoded captions `text` in the same order."""
        masks = None if self.masks is None else self.masks[indices, views].to(self.device)
        return Batch(self.latents[indices, views].to(self.device), text, self.frames[indices].to(self.device), masks)

    def captions_for(self, indices: list[int], dropped: list[bool] | None = None) -> list[int]:
        """Indices of the captions of some images; of the empty caption, which must be there, for dropped ones."""
        rows = [self.caption_of[index] for index in indices]
        if dropped is not None:
            rows = [self.captions.index("") if drop else row for row, drop in zip(rows, dropped, strict=True)]
        return rows

    def text_of(self, rows: list[int]) -> dict[str, torch.Tensor]:
        """Encoded captions, (k, ...) for k indices of captions."""
        return {name: value[rows].to(self.device) for name, value in self.text.items()}


@torch.no_grad()
def encode(
    family: Family,
    components: Components,
    images: ImageSource,
    captions: Sequence[str],
    flip: bool,
    rng: torch.Generator,
    extra: Sequence[str] = (),
) -> Examples:
    """Encode images with a caption for each. flip: mirror images too. extra: further captions, of no image.

    Images are read a few at a time; with `flip` they are read twice, so that the autoencoder draws its noise for all
    images before it draws that of their mirror images.
    """
    latents: list[torch.Tensor] = []
    masks: list[torch.Tensor] = []
    frames: list[np.ndarray] = []
    for mirror in (False, True) if flip else (False,):
        encoded = [_encode_part(family, components, images[part], mirror, rng) for part in _parts(len(images))]
        latents.append(torch.cat([part[0] for part in encoded]))
        masks += [torch.cat(found)] if (found := [mask for _, mask, _ in encoded if mask is not None]) else []
        frames = [part[2] for part in encoded]
    known = tuple(dict.fromkeys((*captions, *extra)))
    return Examples(
        torch.stack(latents, dim=1),
        known,
        encode_captions(family, components, known),
        tuple(known.index(caption) for caption in captions),
        torch.from_numpy(np.concatenate(frames)),
        torch.stack(masks, dim=1) if masks else None,
        components.device,
    )


@torch.no_grad()
def encode_captions(family: Family, components: Components, captions: Sequence[str]) -> dict[str, torch.Tensor]:
    """Encoded captions (m, ...) on the CPU, by the names that `Family.encode_text` uses."""
    texts = [family.encode_text(components, captions[part]) for part in _parts(len(captions))]
    return {name: torch.cat([part[name].cpu() for part in texts]) for name in texts[0]}


def _parts(count: int) -> list[slice]:
    return [slice(start, start + BATCH) for start in range(0, count, BATCH)]


def _encode_part(
    family: Family, components: Components, crops: Crops, mirror: bool, rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor | None, np.ndarray]:
    """Latents (n, c, h, w) of some crops, their masks (n, 1, h, w) at that size, and their frames."""
    shown = crops.mirrored() if mirror else crops
    pixels = torch.from_numpy(np.ascontiguousarray(shown.pixels)).permute(0, 3, 1, 2)
    latents = family.encode_images(components, pixels.float() / 127.5 - 1, rng).cpu()
    if shown.masks is None:
        return latents, None, crops.frames
    masks = torch.from_numpy(np.ascontiguousarray(shown.masks)).float() / 255
    height, width = latents.shape[2:]
    return latents, F.adaptive_avg_pool2d(masks[:, None], (height, width)), crops.frames
