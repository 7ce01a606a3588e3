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
    """Pictures and captions, encoded.

    latents: (n, views, c, h, w), views being the picture and its mirror image. captions: m different ones, told by the
    tensors (m, ...) of `text`. told: which of them belongs to each picture.
    """

    latents: torch.Tensor
    captions: tuple[str, ...]
    text: Mapping[str, torch.Tensor]
    told: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.latents)

    def pick(self, indices: list[int], views: list[int]) -> torch.Tensor:
        return self.latents[indices, views]

    def rows_for(self, indices: list[int], untold: list[bool] | None = None) -> list[int]:
        """Which captions tell some pictures; where `untold` says so the empty one, which must be among them."""
        rows = [self.told[index] for index in indices]
        if untold is not None:
            rows = [self.captions.index("") if left_out else row for row, left_out in zip(rows, untold, strict=True)]
        return rows

    def text_of(self, rows: list[int]) -> dict[str, torch.Tensor]:
        """Captions as they were encoded, (k, ...) for k rows as `rows_for` tells them."""
        return {name: value[rows] for name, value in self.text.items()}


@torch.no_grad()
def encode(
    family: Family,
    components: Components,
    pixels: np.ndarray,
    captions: Sequence[str],
    flip: bool,
    rng: torch.Generator,
    besides: Sequence[str] = (),
) -> Examples:
    """Encode pictures (n, h, w, 3) uint8 with a caption for each, and captions besides that stand for no picture."""
    views = [pixels, pixels[:, :, ::-1]] if flip else [pixels]
    encoded = []
    for view in views:
        parts = []
        for start in range(0, len(view), BATCH):
            part = torch.from_numpy(np.ascontiguousarray(view[start : start + BATCH])).permute(0, 3, 1, 2)
            parts.append(family.encode_images(components, part.float() / 127.5 - 1, rng))
        encoded.append(torch.cat(parts))
    known = tuple(dict.fromkeys((*captions, *besides)))
    text = dict(family.encode_text(components, known))
    return Examples(torch.stack(encoded, dim=1), known, text, tuple(known.index(caption) for caption in captions))
