"""What the training loop draws from: latents and text conditioning, encoded once before it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from limner.core.protocols import Batch, Components, Family
from limner.data.sets.pixels import Pictures

BATCH = 8
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Examples:
    """Pictures and captions, encoded; they wait on the CPU, as those of a large set would fill a GPU.

    latents: (n, views, c, h, w), views being the picture and its mirror image. captions: m different ones, told by the
    tensors (m, ...) of `text`. told: which of them belongs to each picture. frames: (n, 6), as a Batch has them.
    masks: (n, views, 1, h, w) or None. weights: how often each picture is shown, as against the others; None
    for all alike.
    """

    latents: torch.Tensor
    captions: tuple[str, ...]
    text: Mapping[str, torch.Tensor]
    told: tuple[int, ...]
    frames: torch.Tensor
    masks: torch.Tensor | None = None
    device: torch.device = CPU
    weights: tuple[float, ...] | None = None

    def __len__(self) -> int:
        return len(self.latents)

    def batch(self, indices: list[int], views: list[int], text: Mapping[str, torch.Tensor]) -> Batch:
        """Some pictures, each in one of its views, told by `text`."""
        masks = None if self.masks is None else self.masks[indices, views].to(self.device)
        return Batch(self.latents[indices, views].to(self.device), text, self.frames[indices].to(self.device), masks)

    def rows_for(self, indices: list[int], untold: list[bool] | None = None) -> list[int]:
        """Which captions tell some pictures; where `untold` says so the empty one, which must be among them."""
        rows = [self.told[index] for index in indices]
        if untold is not None:
            rows = [self.captions.index("") if left_out else row for row, left_out in zip(rows, untold, strict=True)]
        return rows

    def text_of(self, rows: list[int]) -> dict[str, torch.Tensor]:
        """Captions as they were encoded, (k, ...) for k rows as `rows_for` tells them."""
        return {name: value[rows].to(self.device) for name, value in self.text.items()}


@torch.no_grad()
def encode(
    family: Family,
    components: Components,
    pictures: Pictures,
    captions: Sequence[str],
    flip: bool,
    rng: torch.Generator,
    besides: Sequence[str] = (),
) -> Examples:
    """Encode pictures with a caption for each, and captions besides that stand for no picture."""
    views = [pictures, pictures.mirrored()] if flip else [pictures]
    latents = torch.stack([_latents(family, components, view.pixels, rng) for view in views], dim=1)
    masks = None
    if pictures.masks is not None:
        shown = [torch.from_numpy(np.ascontiguousarray(view.masks)).float() / 255 for view in views]
        masks = torch.stack(
            [F.adaptive_avg_pool2d(mask[:, None], (latents.shape[3], latents.shape[4])) for mask in shown], dim=1
        )
    known = tuple(dict.fromkeys((*captions, *besides)))
    parts = [family.encode_text(components, known[start : start + BATCH]) for start in range(0, len(known), BATCH)]
    text = {name: torch.cat([part[name].cpu() for part in parts]) for name in parts[0]}
    told = tuple(known.index(caption) for caption in captions)
    return Examples(latents, known, text, told, torch.from_numpy(pictures.frames), masks, components.device)


def _latents(family: Family, components: Components, pixels: np.ndarray, rng: torch.Generator) -> torch.Tensor:
    parts = []
    for start in range(0, len(pixels), BATCH):
        part = torch.from_numpy(np.ascontiguousarray(pixels[start : start + BATCH])).permute(0, 3, 1, 2)
        parts.append(family.encode_images(components, part.float() / 127.5 - 1, rng).cpu())
    return torch.cat(parts)
