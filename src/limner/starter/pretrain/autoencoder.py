"""The autoencoder, trained on drawn images and some photographs."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import nn

from limner.starter.pretrain.drawings import HELD_OUT, DrawnImages, PixelStore
from limner.starter.pretrain.loop import fit
from limner.starter.pretrain.precision import compiled, mixed
from limner.starter.pretrain.recipe import Recipe

INITIAL_LOG_VARIANCE = -5.0  # of the latents' noise, far below their own variance
SQUARES = 16  # of every photograph
WHITENED = 256  # how many images the latents' mean and deviation are of


def build(recipe: Recipe) -> AutoencoderKL:
    """The untrained autoencoder."""
    channels = recipe.vae_channels
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(channels),  # pyright: ignore[reportArgumentType]
        up_block_types=("UpDecoderBlock2D",) * len(channels),  # pyright: ignore[reportArgumentType]
        block_out_channels=channels,  # pyright: ignore[reportArgumentType]
        layers_per_block=1,
        latent_channels=recipe.latent_channels,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=recipe.size,
        scaling_factor=1.0,
        force_upcast=False,
    )
    assert vae.quant_conv is not None and vae.quant_conv.bias is not None
    nn.init.constant_(vae.quant_conv.bias[recipe.latent_channels :], INITIAL_LOG_VARIANCE)
    return vae


def to_tensor(pixels: np.ndarray | torch.Tensor) -> torch.Tensor:
    """uint8 (n, h, w, 3) -> float (n, 3, h, w) from -1 to 1."""
    return torch.as_tensor(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def encode(vae: AutoencoderKL, images: torch.Tensor) -> DiagonalGaussianDistribution:
    """The posterior of images (n, 3, h, w) from -1 to 1."""
    return cast(AutoencoderKLOutput, vae.encode(images)).latent_dist


def decode(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Images (n, 3, h, w) of latents (n, c, h/f, w/f), where f is the factor of the autoencoder."""
    return cast(DecoderOutput, vae.decode(latents)).sample  # pyright: ignore[reportArgumentType]


@torch.no_grad()
def reconstructed(
    vae: AutoencoderKL, images: torch.Tensor, noise: float = 0.0, rng: torch.Generator | None = None
) -> torch.Tensor:
    """Images (n, 3, h, w) from -1 to 1 that the autoencoder decodes from their latents, on its device.

    noise: the greatest standard deviation of noise on the latents; each image has another one, from 0 to this.
    """
    latents = encode(vae, images.to(vae.device)).mode()
    if noise:
        deviation = noise * torch.rand(len(images), 1, 1, 1, generator=rng)
        latents = latents + (deviation * torch.randn(latents.shape, generator=rng)).to(latents)
    return decode(vae, latents).clamp(-1, 1)


def edges(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Differences between neighbouring pixels, horizontal and vertical."""
    return images[..., 1:] - images[..., :-1], images[..., 1:, :] - images[..., :-1, :]


def reconstruction_loss(result: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 and squared error of pixels, and L1 of their differences, which keeps fine lines sharp."""
    across, down = (F.l1_loss(a, b) for a, b in zip(edges(result), edges(target), strict=True))
    return F.l1_loss(result, target) + 2 * F.mse_loss(result, target) + across + down


def _random_crops(sources: torch.Tensor, side: int, rng: torch.Generator) -> torch.Tensor:
    """A random crop (n, side, side, 3) of each source (n, h, w, 3)."""
    n, height, width = sources.shape[:3]
    draw, span = torch.rand(2, n, 1, generator=rng).to(sources.device), torch.arange(side, device=sources.device)
    y, x = (draw[0] * (height - side + 1)).long() + span, (draw[1] * (width - side + 1)).long() + span
    return sources[torch.arange(n, device=sources.device)[:, None, None], y[:, :, None], x[:, None, :]]


def _squares(photographs: list[np.ndarray], side: int, each: int, seed: int) -> torch.Tensor:
    """Random squares (n, side, side, 3) of photographs (h, w, 3) uint8, `each` of every one."""
    rng = torch.Generator().manual_seed(seed)
    return torch.cat([_random_crops(torch.from_numpy(p).expand(each, *p.shape), side, rng) for p in photographs])


def _kept_channels(recipe: Recipe, count: int, rng: torch.Generator) -> torch.Tensor:
    """(count, c, 1, 1) of ones and zeros: some images must be decoded from their first few latent channels alone.

    So the first channels hold the composition and the last ones fine detail. A diffusion model learns these sooner than
    channels that are all alike (DC-AE 1.5, Chen et al. 2025, arXiv 2508.00413).
    """
    kept = torch.full((count,), recipe.latent_channels)
    draw = torch.rand(count, generator=rng)
    for channels, share in recipe.latent_groups:
        kept[draw < share] = channels
        draw[draw < share] = 2.0
        draw -= share
    return (torch.arange(recipe.latent_channels) < kept[:, None]).float()[:, :, None, None]


@torch.no_grad()
def psnr(vae: AutoencoderKL, pixels: np.ndarray, batch: int = 16) -> float:
    """Mean peak signal-to-noise ratio in dB of reconstructing uint8 images (n, h, w, 3)."""
    device = next(vae.parameters()).device
    values = []
    for start in range(0, len(pixels), batch):
        images = to_tensor(pixels[start : start + batch]).to(device)
        error = ((reconstructed(vae, images) - images) / 2).square().mean((1, 2, 3))
        values.append(-10 * error.log10())
    return torch.cat(values).mean().item()


@torch.no_grad()
def whiten(vae: AutoencoderKL, pixels: np.ndarray) -> None:
    """Fold each latent channel's mean and deviation into the 1x1 convolutions before and after the latents.

    Afterwards the latents of the given images have mean 0 and deviation 1 in every channel, so that the diffusion
    model's scaling factor is 1.
    """
    device = next(vae.parameters()).device
    parts = to_tensor(pixels).split(16)
    latents = torch.cat([encode(vae, part.to(device)).mode() for part in parts])
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    into, out = vae.quant_conv, vae.post_quant_conv
    assert into is not None and into.bias is not None and out is not None and out.bias is not None
    n = len(mean)
    into.weight[:n] /= deviation[:, None, None, None]
    into.bias[:n] = (into.bias[:n] - mean) / deviation
    into.bias[n:] -= 2 * deviation.log()
    out.bias += (out.weight[..., 0, 0] * mean).sum(1)
    out.weight *= deviation[None, :, None, None]


def train(
    recipe: Recipe,
    gallery: DrawnImages,
    photographs: list[np.ndarray],
    folder: Path,
    device: str,
    begin: AutoencoderKL | None = None,
) -> AutoencoderKL:
    """Train to reconstruct crops, and shrunk crops from shrunk latents.

    The second makes latents scale as images do, smooth and without hidden texture, which a diffusion model learns more
    easily (EQ-VAE, Kouzelis et al. 2025, arXiv 2502.09509).
    """
    torch.manual_seed(recipe.seed)
    vae = (begin or build(recipe)).to(device)  # pyright: ignore[reportArgumentType]
    unseen = gallery.batch(range(64))
    drawn = PixelStore(gallery, device)
    photos = _squares(photographs, recipe.size, SQUARES, recipe.seed).to(device) if photographs else None
    encoder, decoder = compiled(vae.encode, device), compiled(vae.decode, device)

    def crops(rng: torch.Generator) -> torch.Tensor:
        sources = drawn[torch.randint(HELD_OUT, len(gallery), (recipe.autoencoder.batch,), generator=rng)]
        if photos is not None:
            some = int((torch.rand(len(sources), generator=rng) < recipe.photograph_share).sum())
            sources[:some] = photos[torch.randint(len(photos), (some,), generator=rng).to(device)]
        return _random_crops(sources, recipe.vae_crop, rng)

    def loss(step: int, rng: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        images = to_tensor(crops(rng))
        with mixed(device):
            posterior = encoder(images).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=rng).to(device)
            latents = posterior.mean + posterior.std * noise
            latents = latents * _kept_channels(recipe, len(images), rng).to(latents)
            result, small = decoder(latents).sample, decoder(F.avg_pool2d(latents, 2)).sample
        divergence = posterior.kl().float().mean() * recipe.kl_weight
        error = reconstruction_loss(result.float(), images)
        shrunk = reconstruction_loss(small.float(), F.avg_pool2d(images, 2))
        return error + recipe.shrink_weight * shrunk + divergence, {}

    average = fit(
        "autoencoder",
        vae,
        recipe.autoencoder,
        loss,
        folder,
        seed=recipe.seed,
        evaluate=lambda model: {"psnr": psnr(model, unseen)},
    )
    whiten(average, gallery.batch(range(HELD_OUT, min(HELD_OUT + WHITENED, len(gallery)))))
    return average.eval()
