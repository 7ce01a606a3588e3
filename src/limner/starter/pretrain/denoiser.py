"""The UNet, trained on cached latents."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn

from limner.starter.pretrain.autoencoder import decode, encode, to_tensor
from limner.starter.pretrain.drawings import HELD_OUT, DrawnImages
from limner.starter.pretrain.loop import fit
from limner.starter.pretrain.objective import objective
from limner.starter.pretrain.parts import StarterParts
from limner.starter.pretrain.precision import compiled, mixed
from limner.starter.pretrain.recipe import Recipe
from limner.starter.pretrain.text_encoder import tokenise
from limner.starter.pretrain.training_set import TrainingSet

ATTENDING = 2  # levels with attention
REFRESH_EVERY = 100  # steps


def build(recipe: Recipe) -> UNet2DConditionModel:
    """The untrained UNet. Its levels of 8 x 8 and 4 x 4 attend to the text.

    The width of the time embedding follows the level of 16 x 16, whether or not one of 32 x 32 is around it.
    """
    outer = len(recipe.unet_channels) - ATTENDING
    return UNet2DConditionModel(
        sample_size=recipe.latent_side,
        in_channels=recipe.latent_channels,
        out_channels=recipe.latent_channels,
        down_block_types=("DownBlock2D",) * outer + ("CrossAttnDownBlock2D",) * ATTENDING,
        up_block_types=("CrossAttnUpBlock2D",) * ATTENDING + ("UpBlock2D",) * outer,
        block_out_channels=recipe.unet_channels,
        layers_per_block=recipe.unet_layers,
        norm_num_groups=16,
        attention_head_dim=8,
        cross_attention_dim=recipe.text_width,
        time_embedding_dim=4 * recipe.unet_channels[-ATTENDING - 1],
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
    clean = encode(vae, to_tensor(pixels).to(vae.device)).mode()
    whole, rng = decode(vae, clean), torch.Generator().manual_seed(0)
    shown = []
    for channel in range(clean.shape[1]):
        disturbed = clean.clone()
        disturbed[:, channel] += disturbance * torch.randn(clean[:, channel].shape, generator=rng).to(clean)
        shown.append((decode(vae, disturbed) - whole).square().mean().sqrt())
    weights = torch.stack(shown)
    return weights / weights.mean()


class AlignedUNet(nn.Module):
    """A UNet, and layers that predict the judge's features of the clean image from its inner ones.

    Features that recognise the image are learned sooner with this goal (REPA, Yu et al. 2024, arXiv 2410.06940). The
    UNet's are those of its level of 8 x 8 on the way down.
    """

    def __init__(self, unet: UNet2DConditionModel, features: int) -> None:
        super().__init__()
        self.unet = unet
        width = unet.config["block_out_channels"][-2]
        self.predict = nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.SiLU(), nn.Conv2d(2 * width, features, 1))
        self._inner: list[torch.Tensor] = []
        self._attention.register_forward_hook(self._keep)  # a method, whose owner is copied with it

    @property
    def _attention(self) -> nn.Module:
        return cast(nn.ModuleList, cast(nn.ModuleList, self.unet.down_blocks)[-2].attentions)[-1]

    def detach(self) -> UNet2DConditionModel:
        """The UNet alone, whose inner features are no longer kept."""
        self._attention._forward_hooks.clear()
        return self.unet

    def _keep(self, module: nn.Module, given: tuple, result: tuple[torch.Tensor]) -> None:
        self._inner.append(result[0])

    def forward(
        self, noisy: torch.Tensor, steps: torch.Tensor, states: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the UNet predicts (n, c, h, w), and the predicted features (n, f, 8, 8)."""
        self._inner.clear()
        guess = self.unet(noisy, steps, states).sample
        return guess, self.predict(self._inner.pop())


def timesteps(draw: torch.Tensor) -> torch.Tensor:
    """A timestep (n,) from each of n equal parts of 0 to 999; draw: random numbers (n,) from 0 to 1."""
    n = len(draw)
    steps = ((torch.arange(n, device=draw.device) + draw) * 1000 / n).long()
    return steps.clamp(max=999)  # the last sum may be rounded up to n


class DenoisingLoss:
    """What the UNet is trained with: the error of its prediction for latents with noise, and the words of captions."""

    def __init__(self, recipe: Recipe, data: TrainingSet, parts: StarterParts, shown: np.ndarray, device: str) -> None:
        """shown: painter images (n, h, w, 3) uint8 that the weights of the latent channels are measured on."""
        assert parts.vae is not None and parts.text is not None
        self.recipe, self.data, self.device = recipe, data, device
        self.text_encoder = parts.text.to(device)  # pyright: ignore[reportArgumentType]
        if device == "cpu":
            self.text_encoder.set_attn_implementation("eager")  # faster than the fused kernel at these sizes
        self.goal = objective(recipe.prediction, device)
        places = window(recipe.latent_side, recipe.centre_weight).to(device)
        self.weights = places * sensitivity(parts.vae, shown)[:, None, None].to(device)
        self.empty = tokenise(parts.tokenizer, [""]).to(device)
        self._fast = compiled(self.errors, device)

    def errors(
        self, model: nn.Module, clean: torch.Tensor, tokens: torch.Tensor, steps: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The squared error of the prediction (n, c, h, w), and predicted features."""
        with mixed(self.device):
            with torch.no_grad():
                states = self.text_encoder(tokens).last_hidden_state
            result = model(self.goal.noisy(clean, noise, steps), steps, states)
        guess, features = result if isinstance(result, tuple) else (result.sample, None)
        return F.mse_loss(guess.float(), self.goal.target(clean, noise, steps), reduction="none"), features

    def of_step(self, model: nn.Module, rng: torch.Generator) -> torch.Tensor:
        """The loss of a random batch."""
        recipe, data, device = self.recipe, self.data, self.device
        n, dice = recipe.denoiser.batch, torch.Generator(device).manual_seed(rng.initial_seed())
        rows = torch.multinomial(data.shares, n, replacement=True, generator=dice)
        draw = torch.rand(3, n, generator=dice, device=device)
        steps = timesteps(draw[0])
        clean = data.latents[rows].float()
        noise = torch.randn(clean.shape, generator=dice, device=device)
        tokens = data.tokens[rows, (draw[1] * data.tokens.shape[1]).long()].long()
        tokens = torch.where(draw[2, :, None] < recipe.caption_dropout, self.empty, tokens)
        errors, features = self._fast(model, clean, tokens, steps, noise)
        errors = (self.weights * errors).mean((1, 2, 3))
        if recipe.snr_cap:  # nearly clean images train fine texture only, and would outweigh those that train shape
            errors = errors * (recipe.snr_cap / self.goal.ratio(steps)).clamp(max=1)
        value = errors.mean()
        if features is not None:
            likeness = F.cosine_similarity(features.float(), data.features[rows].float(), dim=1)
            value = value - recipe.alignment * likeness.mean()
        return value

    @torch.no_grad()
    def unseen(self, model: nn.Module) -> dict[str, float]:
        """The mean error of held-out images, of all timesteps and of the noisy ones."""
        rng, data = torch.Generator().manual_seed(0), self.data
        steps = torch.linspace(0, 999, 128).long().to(self.device)
        noise = torch.randn(128, *data.latents.shape[1:], generator=rng).to(self.device)
        errors, _ = self.errors(model, data.latents[:128].float(), data.tokens[:128, 0].long(), steps, noise)
        errors = errors.mean((1, 2, 3))
        return {
            "unseen_loss": errors.mean().item(),
            "unseen_loss_noisy": errors[steps >= 400].mean().item(),
            "images": len(data),
        }


def train(recipe: Recipe, gallery: DrawnImages, parts: StarterParts, folder: Path, device: str) -> UNet2DConditionModel:
    """Train the UNet to denoise latents of drawn images with their captions."""
    data = TrainingSet(recipe, gallery, parts, folder / "latents", device)
    torch.manual_seed(recipe.seed)
    unet = (parts.unet or build(recipe)).to(device)  # pyright: ignore[reportArgumentType]
    if device == "cpu":
        unet.set_attn_processor(AttnProcessor())  # as for the text encoder
    learner = AlignedUNet(unet, data.features.shape[1]).to(device) if recipe.alignment else unet
    shown = gallery.batch(range(HELD_OUT, min(HELD_OUT + 16, len(gallery))))
    losses = DenoisingLoss(recipe, data, parts, shown, device)

    def loss(step: int, rng: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        if step % REFRESH_EVERY == 0:
            data.refresh()
        return losses.of_step(learner, rng), {}

    trained = fit("denoiser", learner, recipe.denoiser, loss, folder, seed=recipe.seed, evaluate=losses.unseen).eval()
    return trained.detach() if isinstance(trained, AlignedUNet) else trained
