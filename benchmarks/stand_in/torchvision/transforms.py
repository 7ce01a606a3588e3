"""Pillow pictures to tensors: only what diffusers' DreamBooth script uses, with torchvision's names and meanings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np
import torch
from PIL import Image


class InterpolationMode(Enum):
    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, picture: Any) -> Any:
        for transform in self.transforms:
            picture = transform(picture)
        return picture


class Resize:
    """Make the shorter side `size` pixels long."""

    def __init__(self, size: int, interpolation: InterpolationMode = InterpolationMode.BILINEAR) -> None:
        self.size = size
        self.filter = Image.Resampling[interpolation.name]

    def __call__(self, picture: Image.Image) -> Image.Image:
        scale = self.size / min(picture.size)
        width, height = (max(self.size, int(side * scale)) for side in picture.size)
        return picture if (width, height) == picture.size else picture.resize((width, height), self.filter)


class CenterCrop:
    """The square of `size` pixels in the middle."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, picture: Image.Image) -> Image.Image:
        left, top = ((side - self.size) // 2 for side in picture.size)
        return picture.crop((left, top, left + self.size, top + self.size))


class RandomCrop(CenterCrop):
    """A square of `size` pixels anywhere, drawn from torch's generator."""

    def __call__(self, picture: Image.Image) -> Image.Image:
        left, top = (int(torch.randint(side - self.size + 1, ())) for side in picture.size)
        return picture.crop((left, top, left + self.size, top + self.size))


class ToTensor:
    """A picture to floats (3, h, w) from 0 to 1."""

    def __call__(self, picture: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().float() / 255


class Normalize:
    """(x - mean) / std for each channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        return (tensor - self.mean) / self.std
