"""What the UNet is trained on: the latents and captions of drawn images, which may be added while it trains."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import nn

from limner.core.errors import LimnerError
from limner.starter.judge.network import JudgeNetwork
from limner.starter.painter import Scene
from limner.starter.pretrain.autoencoder import encode, to_tensor
from limner.starter.pretrain.drawings import HELD_OUT, DrawnImages, as_tensor
from limner.starter.pretrain.parts import StarterParts
from limner.starter.pretrain.precision import mixed
from limner.starter.pretrain.recipe import Recipe
from limner.starter.pretrain.text_encoder import Words


def emphasis(scene: Scene) -> float:
    """How often a scene is trained on, relative to others: more often plain ones, as most prompts ask for them, and
    accessories, which are learned last.
    """
    plain = (1.0 if scene.light == "day" else 0.5) * (1.0 if scene.weather == "clear" else 0.4)
    return plain * (4.0 if scene.extra else 1.0)


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
