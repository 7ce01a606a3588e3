"""Ways to spoil a picture: what the judge must bear, and what it must not be fooled by."""

from __future__ import annotations

import torch
import torch.nn.functional as F

TILE = 16


def blur(pictures: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur of pictures (n, c, h, w), sigma in pixels."""
    reach = torch.arange(-6, 7, device=pictures.device) / sigma
    kernel = torch.exp(-(reach**2) / 2)
    kernel = kernel / kernel.sum()
    channels = pictures.shape[1]
    padded = F.pad(pictures, (6, 6, 6, 6), mode="reflect")
    across = F.conv2d(padded, kernel.view(1, 1, 1, 13).expand(channels, 1, 1, 13), groups=channels)
    return F.conv2d(across, kernel.view(1, 1, 13, 1).expand(channels, 1, 13, 1), groups=channels)


def add_noise(pictures: torch.Tensor, deviation: float, rng: torch.Generator) -> torch.Tensor:
    """White noise added, deviation in units where black to white is 2."""
    return (pictures + deviation * torch.randn(pictures.shape, generator=rng)).clamp(-1, 1)


def add_blotches(pictures: torch.Tensor, deviation: float, rng: torch.Generator) -> torch.Tensor:
    """Soft coloured blotches added, 8 px wide."""
    n, c, h, w = pictures.shape
    coarse = torch.randn(n, c, h // 8, w // 8, generator=rng) * deviation
    return (pictures + F.interpolate(coarse, size=(h, w), mode="bilinear")).clamp(-1, 1)


def degrade(pictures: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Each of a few degradations, or several, on groups of 8 pictures."""
    groups = []
    for group in pictures.split(8):
        share = torch.rand(7, generator=rng).tolist()
        if share[0] < 0.4:
            group = blur(group, 0.3 + 2.2 * share[1])
        if share[2] < 0.3:
            group = add_blotches(group, 0.3 * share[3], rng)
        if share[4] < 0.3:
            group = add_noise(group, 0.5 * share[5] ** 2, rng)
        if share[6] < 0.15:
            group = F.interpolate(F.avg_pool2d(group, 2), scale_factor=2, mode="bilinear")
        groups.append(group)
    return torch.cat(groups)


def shuffle_tiles(pictures: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Pictures whose tiles of 16 px are shuffled: all of their textures and none of their forms."""
    h, w = pictures.shape[2:]
    tiles = F.unfold(pictures, TILE, stride=TILE)
    order = torch.randperm(tiles.shape[-1], generator=rng)
    return F.fold(tiles[..., order], (h, w), TILE, stride=TILE)
