"""The judge's network: a small residual convolutional net (He et al. 2016, arXiv 1512.03385), a head an attribute."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from limner.starter.judge.attributes import ATTRIBUTES

WIDTHS = (48, 80, 128, 192)
BLOCKS = (1, 2, 2, 1)
ATTENTIONS, POOLED, HIDDEN = 2, 96, 48


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


class JudgeNetwork(nn.Module):
    """Pictures (n, 3, 128, 128) from -1 to 1 -> logits (n, k) of every attribute's values.

    Each attribute looks at two places of its own choice (attention pooling: a softmax over the 16 x 16 places of the
    features of all stages), since a mark on a forehead is a few pixels wide, and at the last features on average.
    """

    def __init__(self) -> None:
        super().__init__()
        stem: list[nn.Module] = []
        for narrow, wide in ((3, WIDTHS[0] // 2), (WIDTHS[0] // 2, WIDTHS[0])):
            stem += _halved(narrow, wide)
        self.stages = nn.ModuleList()
        for i, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True)):
            before = _halved(WIDTHS[i - 1], width) if i else stem
            self.stages.append(nn.Sequential(*before, *(Block(width) for _ in range(blocks))))
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

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.tell(*self.look(pictures))

    def look(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What each attribute saw at its places (n, attributes, 2 x 96), and the whole picture on average (n, 192)."""
        features, found = pictures, []
        for stage in self.stages:
            features = stage(features)
            found.append(features)
        side = found[1].shape[-2:]
        places = torch.cat([F.avg_pool2d(found[0], 2), found[1], *(F.interpolate(f, side) for f in found[2:])], dim=1)
        shares = self.looking(places).flatten(2).float().softmax(2).to(places)
        glances = self.seen(shares @ places.flatten(2).transpose(1, 2))
        return glances.unflatten(1, (-1, ATTENTIONS)).flatten(2), features.mean((2, 3))

    def tell(self, glances: torch.Tensor, average: torch.Tensor) -> dict[str, torch.Tensor]:
        heads = enumerate(self.heads.items())
        return {name: head(torch.cat([glances[:, i], average], 1)) for i, (name, head) in heads}
