"""The network of the judge: a small residual network (He et al. 2016, arXiv 1512.03385) with a head per attribute."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from limner.starter.judge.attributes import ATTRIBUTES

WIDTHS = (48, 80, 128, 192)
BLOCKS = (1, 2, 2, 1)
ATTENTIONS, POOLED, HIDDEN = 2, 96, 48
"""Attention maps of an attribute, and channels of what each of them pools and of a head."""


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a skip connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = F.relu(self.norms[0](self.first(x)))
        return F.relu(x + self.norms[1](self.second(inner)))


def _downsample(narrow: int, wide: int) -> list[nn.Module]:
    """Layers that halve the side and change the number of channels."""
    return [nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]


class JudgeNetwork(nn.Module):
    """Images (n, 3, 128, 128) from -1 to 1 -> logits (n, k) of the values of every attribute.

    Each attribute has two attention maps (a softmax over the 16 x 16 positions of the features of all stages), because
    a mark on a forehead is only a few pixels wide, and the mean of the last features. The weights file has the names of
    the layers.
    """

    def __init__(self) -> None:
        super().__init__()
        stem: list[nn.Module] = []
        for narrow, wide in ((3, WIDTHS[0] // 2), (WIDTHS[0] // 2, WIDTHS[0])):
            stem += _downsample(narrow, wide)
        self.stages = nn.ModuleList()
        for i, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True)):
            before = _downsample(WIDTHS[i - 1], width) if i else stem
            self.stages.append(nn.Sequential(*before, *(ResidualBlock(width) for _ in range(blocks))))
        self.looking = nn.Conv2d(sum(WIDTHS), ATTENTIONS * len(ATTRIBUTES), 1)
        nn.init.zeros_(self.looking.weight)
        self.seen = nn.Linear(sum(WIDTHS), POOLED)
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(ATTENTIONS * POOLED + WIDTHS[-1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, len(values))
                )
                for name, values in ATTRIBUTES.items()
            }
        )
        self.register_buffer("temperature", torch.ones(len(ATTRIBUTES)))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.classify(*self.pool(images))

    def pool(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pooled features of each attribute (n, attributes, 2 x 96), and the mean of the last features (n, 192)."""
        features, stages = images, []
        for stage in self.stages:
            features = stage(features)
            stages.append(features)
        side = stages[1].shape[-2:]
        maps = torch.cat([F.avg_pool2d(stages[0], 2), stages[1], *(F.interpolate(f, side) for f in stages[2:])], dim=1)
        shares = self.looking(maps).flatten(2).float().softmax(2).to(maps)
        pooled = self.seen(shares @ maps.flatten(2).transpose(1, 2))
        return pooled.unflatten(1, (-1, ATTENTIONS)).flatten(2), features.mean((2, 3))

    def classify(self, pooled: torch.Tensor, average: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits (n, k) of every attribute, from what `pool` returns."""
        heads = enumerate(self.heads.items())
        return {name: head(torch.cat([pooled[:, i], average], 1)) for i, (name, head) in heads}
