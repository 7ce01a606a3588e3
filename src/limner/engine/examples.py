"""What the training loop draws from: latents and text conditioning, encoded once before it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..core.protocols import Components, Family

BATCH = 8


@dataclass(frozen=True)
class Examples:
    """Pictures with the captions that may go with any of them.

    latents: (n, views, c, h, w), views being the picture and its mirror image. text: tensors (captions, ...).
    """

    latents: torch.Tensor
    text: Mapping[str, torch.Tensor]

    def __len__(self) -> int:
        return len(self.latents)

    def pick(self, indices: list[int], views: list[int]) -> torch.Tensor:
        return self.latents[indices, views]

    def text_for(self, captions: list[int]) -> dict[str, torch.Tensor]:
        return {name: value[captions] for name, value in self.text.items()}


@torch.no_grad()
def encode(
    family: Family,
    components: Components,
    pixels: np.ndarray,
    captions: Sequence[str],
    flip: bool,
    rng: torch.Generator,
) -> Examples:
    """Encode pictures (n, h, w, 3) uint8 and their captions."""
    views = [pixels, pixels[:, :, ::-1]] if flip else [pixels]
    encoded = []
    for view in views:
        parts = []
        for start in range(0, len(view), BATCH):
            part = torch.from_numpy(np.ascontiguousarray(view[start : start + BATCH])).permute(0, 3, 1, 2)
            parts.append(family.encode_images(components, part.float() / 127.5 - 1, rng))
        encoded.append(torch.cat(parts))
    return Examples(torch.stack(encoded, dim=1), dict(family.encode_text(components, captions)))
