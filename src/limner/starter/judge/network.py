"""The judge's network: a small residual convolutional net (He et al. 2016, arXiv 1512.03385), a head an attribute."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..painter.looks import MARKS
from .attributes import ATTRIBUTES

WIDTHS = (48, 80, 128, 192)
BLOCKS = (1, 2, 2, 1)


class Block(nn.Module):
    """Two 3 x 3 convolutions and a way around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = F.relu(self.norms[0](self.first(x)))
        return F.relu(x + self.norms[1](self.second(inner)))


def _halved(narrow: int, wide: int) -> list[nn.Module]:
    """Half the side, more channels."""
    return [nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]


class Network(nn.Module):
    """Pictures (n, 3, 128, 128) from -1 to 1 -> logits (n, k) of every attribute, and of the marks (n, m)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for narrow, wide in ((3, WIDTHS[0] // 2), (WIDTHS[0] // 2, WIDTHS[0])):
            layers += _halved(narrow, wide)
        for width, blocks, wider in zip(WIDTHS, BLOCKS, (*WIDTHS[1:], None), strict=True):
            layers += [Block(width) for _ in range(blocks)]
            if wider:
                layers += _halved(width, wider)
        self.body = nn.Sequential(*layers)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * WIDTHS[-1], len(ATTRIBUTES[name])) for name in ATTRIBUTES})
        self.marks = nn.Linear(2 * WIDTHS[-1], len(MARKS))
        self.register_buffer("temperature", torch.ones(len(ATTRIBUTES) + 1))

    def forward(self, pictures: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        features = self.body(pictures)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
        return {name: head(pooled) for name, head in self.heads.items()}, self.marks(pooled)
