"""Degradations of images: some that the judge must tolerate, and one that leaves nothing to recognise."""

from __future__ import annotations

import torch
import torch.nn.functional as F

TILE = 16


def blur(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur of images (n, c, h, w), sigma in pixels."""
    reach = torch.arange(-6, 7, device=images.device) / sigma
    kernel = torch.exp(-(reach**2) / 2)
    kernel = kernel / kernel.sum()
    channels = images.shape[1]
    padded = F.pad(images, (6, 6, 6, 6), mode="reflect")
    across = F.conv2d(padded, kernel.view(1, 1, 1, 13).expand(channels, 1, 1, 13), groups=channels)
    return F.conv2d(across, kernel.view(1, 1, 13, 1).expand(channels, 1, 13, 1), groups=channels)


def add_noise(images: torch.Tensor, deviation: float, rng: torch.Generator) -> torch.Tensor:
    """Images with white noise; deviation: its standard deviation, where black to white is 2."""
    return (images + deviation * torch.randn(images.shape, generator=rng)).clamp(-1, 1)


def add_blotches(images: torch.Tensor, deviation: float, rng: torch.Generator) -> torch.Tensor:
    """Images with soft coloured blotches, 8 px wide."""
    n, c, h, w = images.shape
    coarse = torch.randn(n, c, h // 8, w // 8, generator=rng) * deviation
    return (images + F.interpolate(coarse, size=(h, w), mode="bilinear")).clamp(-1, 1)


def degrade(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Images with none, one or several random degradations, the same for each group of 8 images."""
    groups = []
    for group in images.split(8):
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


def shuffle_tiles(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Images whose tiles of 16 px are shuffled: they keep their textures and lose their forms."""
    h, w = images.shape[2:]
    tiles = F.unfold(images, TILE, stride=TILE)
    order = torch.randperm(tiles.shape[-1], generator=rng)
    return F.fold(tiles[..., order], (h, w), TILE, stride=TILE)
