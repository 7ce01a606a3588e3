"""The UNet, trained on cached latents."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from rich.progress import track
from torch import nn

from limner.starter.painter import Scene
from limner.starter.pretrain.autoencoder import HELD_OUT, decode, encode, to_tensor
from limner.starter.pretrain.drawings import DrawnImages
from limner.starter.pretrain.loop import fit
from limner.starter.pretrain.objective import objective
from limner.starter.pretrain.parts import StarterParts
from limner.starter.pretrain.precision import mixed
from limner.starter.pretrain.recipe import Recipe
from limner.starter.pretrain.text_encoder import tokenise
from limner.starter.pretrain.training_captions import training_caption


def build(recipe: Recipe) -> UNet2DConditionModel:
    """The untrained UNet."""
    return UNet2DConditionModel(
        sample_size=recipe.size // 8,
        in_channels=recipe.latent_channels,
        out_channels=recipe.latent_channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=recipe.unet_channels,
        layers_per_block=recipe.unet_layers,
        norm_num_groups=16,
        attention_head_dim=8,
        cross_attention_dim=recipe.text_width,
        resnet_time_scale_shift="scale_shift",  # as in Dhariwal & Nichol 2021, arXiv 2105.05233, section 3.1
    )


def window(side: int, centre_weight: float) -> torch.Tensor:
    """The weight of each place of the latents, (side, side) of mean 1: highest where the painter draws its subjects.

    A caption does not state where small things such as clouds are, so that they can only be learned as noise. It does
    state what the subject is.
    """
    rows, columns = (torch.arange(side) + 0.5) / side - 0.6, (torch.arange(side) + 0.5) / side - 0.5
    weights = 1 + centre_weight * torch.exp(-(rows[:, None] ** 2 + columns[None] ** 2) / (2 * 0.25**2))
    return weights / weights.mean()


@torch.no_grad()
def sensitivity(vae: AutoencoderKL, pixels: np.ndarray, disturbance: float = 0.5) -> torch.Tensor:
    """How much each latent channel changes an image, (c,) of mean 1: the error of pixels when it is disturbed."""
    clean = encode(vae, to_tensor(pixels)).mode()
    whole, rng = decode(vae, clean), torch.Generator().manual_seed(0)
    shown = []
    for channel in range(clean.shape[1]):
        disturbed = clean.clone()
        disturbed[:, channel] += disturbance * torch.randn(clean[:, channel].shape, generator=rng)
        shown.append((decode(vae, disturbed) - whole).square().mean().sqrt())
    weights = torch.stack(shown)
    return weights / weights.mean()


def emphasis(scene: Scene) -> float:
    """How often a scene is trained on, relative to others: more often plain ones, as most prompts ask for them, and
    accessories, which are learned last.
    """
    plain = (1.0 if scene.light == "day" else 0.5) * (1.0 if scene.weather == "clear" else 0.4)
    return plain * (3.0 if scene.extra else 1.0)


@torch.no_grad()
def cache_latents(vae: AutoencoderKL, gallery: DrawnImages, path: Path, device: str) -> torch.Tensor:
    """Latents (n, c, 16, 16) of all drawn images in fp16, cached in a file."""
    if not path.exists():
        parts = []
        for start in track(range(0, len(gallery), 64), "encoding"):
            images = to_tensor(gallery.batch(range(start, min(start + 64, len(gallery))))).to(device)
            with mixed(device):
                parts.append(encode(vae, images).mode().half().cpu().numpy())
        np.save(partial := path.with_suffix(".partial.npy"), np.concatenate(parts))
        partial.replace(path)
    return torch.from_numpy(np.load(path))


def train(recipe: Recipe, gallery: DrawnImages, parts: StarterParts, folder: Path, device: str) -> UNet2DConditionModel:
    """Train the UNet to denoise latents of drawn images with their captions."""
    assert parts.vae is not None and parts.text is not None
    latents = cache_latents(parts.vae, gallery, folder / "latents.npy", device)
    text_encoder = parts.text.to(device)  # pyright: ignore[reportArgumentType]
    torch.manual_seed(recipe.seed)
    unet = (parts.unet or build(recipe)).to(device)  # pyright: ignore[reportArgumentType]
    if device == "cpu":
        unet.set_attn_processor(AttnProcessor())  # on a CPU faster than the fused kernel at these sizes
    goal = objective(recipe.prediction)
    trained = len(gallery) - HELD_OUT
    places = window(latents.shape[-1], recipe.centre_weight).to(device)
    channels = sensitivity(parts.vae, gallery.batch(range(16)))[:, None, None].to(device)
    text_encoder.set_attn_implementation("eager")  # at these sizes faster than the fused kernel on a CPU
    shares = torch.tensor([emphasis(scene) for scene in gallery.scenes[:trained]])

    def captions(indices: list[int], seed: str, dropout: float) -> list[str]:
        rng = random.Random(seed)
        scenes = [(gallery.scenes[i], rng if recipe.paraphrase else random.Random(i)) for i in indices]
        return [training_caption(scene, rng, dropout) for scene, rng in scenes]

    def squared_error(
        model: nn.Module, indices: list[int], texts: list[str], steps: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """The squared error of the prediction, (n, c, h, w)."""
        tokens = tokenise(parts.tokenizer, texts).to(device)
        clean, noise, steps = latents[indices].float().to(device), noise.to(device), steps.to(device)
        with mixed(device):
            with torch.no_grad():
                states = text_encoder(tokens).last_hidden_state
            guess = model(goal.noisy(clean, noise, steps), steps, states).sample
        return F.mse_loss(guess.float(), goal.target(clean, noise, steps), reduction="none")

    def loss(step: int, rng: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        n = recipe.denoiser.batch
        indices = torch.multinomial(shares, n, replacement=True, generator=rng).tolist()
        steps = ((torch.arange(n) + torch.rand(n, generator=rng)) * 1000 / n).long()  # stratified
        noise = torch.randn(n, *latents.shape[1:], generator=rng)
        texts = captions(indices, f"{recipe.seed}/{step}", recipe.caption_dropout)
        errors = squared_error(unet, indices, texts, steps, noise)
        errors = (places * channels * errors).mean((1, 2, 3))
        if recipe.snr_cap:  # nearly clean images train fine texture only, and would outweigh those that train shape
            errors = errors * (recipe.snr_cap / goal.ratio(steps).to(errors.device)).clamp(max=1)
        return errors.mean(), {}

    @torch.no_grad()
    def evaluate(model: nn.Module) -> dict[str, float]:
        rng = torch.Generator().manual_seed(0)
        steps = torch.linspace(0, 999, 128).long()
        noise = torch.randn(128, *latents.shape[1:], generator=rng)
        indices = list(range(trained, trained + 128))
        errors = squared_error(model, indices, captions(indices, "unseen", 0.0), steps, noise).mean((1, 2, 3))
        return {"unseen_loss": errors.mean().item(), "unseen_loss_noisy": errors[steps >= 400].mean().item()}

    return fit("denoiser", unet, recipe.denoiser, loss, folder, seed=recipe.seed, evaluate=evaluate).eval()
