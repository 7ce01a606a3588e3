"""The UNet, trained on cached latents."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn

from limner.core.errors import LimnerError
from limner.starter.judge.network import JudgeNetwork
from limner.starter.painter import Scene
from limner.starter.pretrain.autoencoder import decode, encode, to_tensor
from limner.starter.pretrain.drawings import HELD_OUT, DrawnImages, as_tensor
from limner.starter.pretrain.loop import fit
from limner.starter.pretrain.objective import objective
from limner.starter.pretrain.parts import StarterParts
from limner.starter.pretrain.precision import compiled, mixed
from limner.starter.pretrain.recipe import Recipe
from limner.starter.pretrain.text_encoder import Words, tokenise

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


def emphasis(scene: Scene) -> float:
    """How often a scene is trained on, relative to others: more often plain ones, as most prompts ask for them, and
    accessories, which are learned last.
    """
    plain = (1.0 if scene.light == "day" else 0.5) * (1.0 if scene.weather == "clear" else 0.4)
    return plain * (3.0 if scene.extra else 1.0)


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


class TrainingSet:
    """Latents, captions and features of drawn images on the training device. Images may be added while it trains.

    latents: (n, c, h, w) half. tokens: (n, captions, l) int16. shares: how often each is trained on, (n,), never if it
    is held out. features: (n, f, 8, 8) half, of the judge. The latents of each file of images are cached in `folder`,
    with the hash of the autoencoder that they are of.
    """

    def __init__(self, recipe: Recipe, gallery: DrawnImages, parts: StarterParts, folder: Path, device: str) -> None:
        assert parts.vae is not None
        self.recipe, self.gallery, self.folder, self.device = recipe, gallery, folder, device
        self.vae = parts.vae.to(device)  # pyright: ignore[reportArgumentType]
        self.judge = parts.judge.to(device).eval() if parts.judge is not None and recipe.alignment else None
        self._files, self._autoencoder, self._words = 0, weights_hash(parts.vae), Words(parts.tokenizer)
        self.latents = torch.empty(0, recipe.latent_channels, recipe.latent_side, recipe.latent_side)
        self.tokens = self.shares = self.features = torch.empty(0)
        folder.mkdir(parents=True, exist_ok=True)
        self.refresh()

    def __len__(self) -> int:
        return len(self.latents)

    @torch.no_grad()
    def refresh(self) -> None:
        """Add the images that have been drawn since."""
        self.gallery.refresh()
        first, added = len(self), range(self._files, len(self.gallery.shards))
        if not added:
            return
        scenes = self.gallery.scenes[first:]
        texts = [text for texts in self.gallery.captions[first:] for text in self._chosen(texts)]
        tokens = self._words.tokenise(texts).short().unflatten(0, (len(scenes), self.recipe.captions))
        shares = torch.tensor([emphasis(scene) for scene in scenes])
        shares[: max(0, HELD_OUT - first)] = 0
        parts = {"latents": torch.cat([self._latents_of(i) for i in added]), "tokens": tokens, "shares": shares}
        if self.judge is not None:
            parts["features"] = torch.cat([self._features_of(i) for i in added])
        for name, part in parts.items():
            part = part.to(self.device)
            setattr(self, name, torch.cat([getattr(self, name), part]) if first else part)
        self._files = len(self.gallery.shards)

    def _chosen(self, captions: list[str]) -> list[str]:
        """As many of an image's captions as the recipe says."""
        count = self.recipe.captions
        if len(captions) < count:
            problem = f"an image in {self.gallery.folder} has {len(captions)} captions, and the recipe asks for {count}"
            raise LimnerError(problem, "change 'captions' in the recipe, or draw the images in another folder")
        return captions[:count]

    def _latents_of(self, shard: int) -> torch.Tensor:
        latents = load_latents(self.folder, shard, self._autoencoder)
        if latents is None:
            with mixed(self.device):
                parts = [encode(self.vae, images).mode().half().cpu() for images in self._images_of(shard)]
            latents = torch.cat(parts).contiguous()  # as they are when they are loaded, for the same rounding
            save_latents(self.folder, shard, self._autoencoder, latents)
        return latents.to(self.device)

    def _features_of(self, shard: int) -> torch.Tensor:
        assert self.judge is not None
        return torch.cat([judge_features(self.judge, images).half() for images in self._images_of(shard)])

    def _images_of(self, shard: int) -> list[torch.Tensor]:
        """The shard's images in batches."""
        return [to_tensor(part.to(self.device)) for part in as_tensor(self.gallery.shards[shard]).split(100)]


def weights_hash(network: nn.Module) -> str:
    """SHA-256 of a network's weights."""
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def save_latents(folder: Path, shard: int, autoencoder: str, latents: torch.Tensor) -> None:
    """Write the latents of a file of images. autoencoder: the hash of its weights."""
    path = folder / f"latents-{shard:05d}.npz"
    np.savez(partial := path.with_suffix(".partial.npz"), latents=latents.numpy(), autoencoder=autoencoder)
    partial.replace(path)


def load_latents(folder: Path, shard: int, autoencoder: str) -> torch.Tensor | None:
    """The latents of a file of images; None if this autoencoder has not encoded them."""
    path = folder / f"latents-{shard:05d}.npz"
    if not path.exists():
        return None
    with np.load(path) as found:
        return torch.from_numpy(found["latents"]) if str(found["autoencoder"]) == autoencoder else None


def judge_features(judge: JudgeNetwork, images: torch.Tensor) -> torch.Tensor:
    """The judge's features (n, 128, 8, 8) of images (n, 3, 128, 128) from -1 to 1."""
    for stage in judge.stages[:3]:
        images = stage(images)
    return images


def timesteps(draw: torch.Tensor) -> torch.Tensor:
    """A timestep (n,) from each of n equal parts of 0 to 999; draw: random numbers (n,) from 0 to 1."""
    n = len(draw)
    steps = ((torch.arange(n, device=draw.device) + draw) * 1000 / n).long()
    return steps.clamp(max=999)  # the last sum may be rounded up to n


def train(recipe: Recipe, gallery: DrawnImages, parts: StarterParts, folder: Path, device: str) -> UNet2DConditionModel:
    """Train the UNet to denoise latents of drawn images with their captions."""
    assert parts.vae is not None and parts.text is not None
    data = TrainingSet(recipe, gallery, parts, folder / "latents", device)
    text_encoder = parts.text.to(device)  # pyright: ignore[reportArgumentType]
    torch.manual_seed(recipe.seed)
    unet = (parts.unet or build(recipe)).to(device)  # pyright: ignore[reportArgumentType]
    if device == "cpu":
        unet.set_attn_processor(AttnProcessor())  # on a CPU faster than the fused kernel at these sizes
        text_encoder.set_attn_implementation("eager")  # the same
    goal = objective(recipe.prediction, device)
    learner = AlignedUNet(unet, data.features.shape[1]).to(device) if recipe.alignment else unet
    places = window(recipe.latent_side, recipe.centre_weight).to(device)
    shown = gallery.batch(range(HELD_OUT, min(HELD_OUT + 16, len(gallery))))
    channels = sensitivity(parts.vae, shown)[:, None, None].to(device)
    empty = tokenise(parts.tokenizer, [""]).to(device)

    def losses(
        model: nn.Module, clean: torch.Tensor, tokens: torch.Tensor, steps: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The squared error of the prediction (n, c, h, w), and predicted features."""
        with mixed(device):
            with torch.no_grad():
                states = text_encoder(tokens).last_hidden_state
            result = model(goal.noisy(clean, noise, steps), steps, states)
        guess, features = result if isinstance(result, tuple) else (result.sample, None)
        return F.mse_loss(guess.float(), goal.target(clean, noise, steps), reduction="none"), features

    fast = compiled(losses, device)

    def loss(step: int, rng: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        if step % REFRESH_EVERY == 0:
            data.refresh()
        n, dice = recipe.denoiser.batch, torch.Generator(device).manual_seed(rng.initial_seed())
        rows = torch.multinomial(data.shares, n, replacement=True, generator=dice)
        draw = torch.rand(3, n, generator=dice, device=device)
        steps = timesteps(draw[0])
        clean = data.latents[rows].float()
        noise = torch.randn(clean.shape, generator=dice, device=device)
        tokens = data.tokens[rows, (draw[1] * data.tokens.shape[1]).long()].long()
        tokens = torch.where(draw[2, :, None] < recipe.caption_dropout, empty, tokens)
        errors, features = fast(learner, clean, tokens, steps, noise)
        errors = (places * channels * errors).mean((1, 2, 3))
        if recipe.snr_cap:  # nearly clean images train fine texture only, and would outweigh those that train shape
            errors = errors * (recipe.snr_cap / goal.ratio(steps)).clamp(max=1)
        value = errors.mean()
        if features is not None:
            likeness = F.cosine_similarity(features.float(), data.features[rows].float(), dim=1)
            value = value - recipe.alignment * likeness.mean()
        return value, {}

    @torch.no_grad()
    def evaluate(model: nn.Module) -> dict[str, float]:
        rng = torch.Generator().manual_seed(0)
        steps = torch.linspace(0, 999, 128).long().to(device)
        noise = torch.randn(128, *data.latents.shape[1:], generator=rng).to(device)
        errors, _ = losses(model, data.latents[:128].float(), data.tokens[:128, 0].long(), steps, noise)
        errors = errors.mean((1, 2, 3))
        return {
            "unseen_loss": errors.mean().item(),
            "unseen_loss_noisy": errors[steps >= 400].mean().item(),
            "images": len(data),
        }

    trained = fit("denoiser", learner, recipe.denoiser, loss, folder, seed=recipe.seed, evaluate=evaluate).eval()
    return trained.detach() if isinstance(trained, AlignedUNet) else trained
