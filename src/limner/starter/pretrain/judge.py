"""The judge, trained on drawn images, whole, degraded and reconstructed, and then calibrated on all of them."""

from __future__ import annotations

import os
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from rich.progress import track
from torch import nn

from limner.starter.judge.attributes import ATTRIBUTES, COLOURLESS, EYEWEAR, truth
from limner.starter.judge.degrade import degrade, shuffle_tiles
from limner.starter.judge.network import ATTENTIONS, POOLED, JudgeNetwork
from limner.starter.painter import Scene, paint, random_scene
from limner.starter.painter.animals import Look
from limner.starter.painter.animals.random_look import random_look
from limner.starter.painter.paint import look_of
from limner.starter.painter.scene import Placement
from limner.starter.pretrain.autoencoder import reconstructed, to_tensor
from limner.starter.pretrain.loop import fit
from limner.starter.pretrain.precision import mixed
from limner.starter.pretrain.recipe import Recipe

SHARD = 500  # how many images a file holds
ONE_UNSEEN_IN = 16  # the last images, which are not trained on
UNKNOWN = -1
EYES_WEIGHT = 20.0
LATENT_NOISE = 0.3
"""Greatest standard deviation of the noise on the latents of reconstructed images, which are like generated ones."""


@dataclass(frozen=True)
class JudgeSample:
    """One image to train on: an animal may have a random look, whose coat has a name."""

    scene: Scene
    look: Look | None = None
    coat: str | None = None

    @property
    def eyes(self) -> np.ndarray:
        """Colours of the left and of the right eye, (6,) from 0 to 1; nan where they cannot be seen."""
        scene = self.scene
        if not scene.is_animal or scene.extra in EYEWEAR or scene.style in COLOURLESS:
            return np.full(6, np.nan, np.float32)
        look = self.look or look_of(scene)
        pair = [look.eye, look.second_eye or look.eye]
        if Placement.draw(random.Random(scene.seed)).mirrored:
            pair.reverse()
        return np.array(pair, np.float32).flatten() / 255


def judge_samples(seed: int, index: int) -> list[JudgeSample]:
    """The samples of a file, always the same: breeds, products, and animals with random looks; no character."""
    rng, samples = random.Random(f"judge/{seed}/{index}"), []
    for _ in range(SHARD):
        scene = random_scene(rng)
        changed = scene.is_animal and rng.random() < 0.65
        look, coat = random_look(rng, scene.subject) if changed else (None, None)
        samples.append(JudgeSample(scene, look, coat))
    return samples


def _render_shard(seed: int, index: int) -> np.ndarray:
    """Images (n, 128, 128, 3)."""
    return np.stack([np.asarray(paint(sample.scene, sample.look)) for sample in judge_samples(seed, index)])


def label(facts: dict[str, str | None]) -> np.ndarray:
    """True values of the attributes as numbers, int8 (attributes,)."""
    return np.array(
        [UNKNOWN if (value := facts[name]) is None else known.index(value) for name, known in ATTRIBUTES.items()],
        np.int8,
    )


class JudgeImages:
    """The judge's images, with labels (n, attributes) and colours of eyes (n, 6)."""

    def __init__(self, folder: Path, count: int, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"judge-{i:05d}.npy" for i in range(count // SHARD)]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            futures = [(path, pool.submit(_render_shard, seed, i)) for i, path in enumerate(paths) if not path.exists()]
            for path, future in track(futures, "drawing"):
                np.save(partial := path.with_name("partial.npy"), future.result())
                os.replace(partial, path)
        self.shards = [np.load(path, mmap_mode="r") for path in paths]
        samples = [sample for i in range(len(paths)) for sample in judge_samples(seed, i)]
        self.labels = torch.from_numpy(np.stack([label(truth(s.scene, s.look, s.coat)) for s in samples])).long()
        self.eyes = torch.from_numpy(np.stack([s.eyes for s in samples]))

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: list[int]) -> torch.Tensor:
        """Images (n, 3, 128, 128) from -1 to 1."""
        return to_tensor(np.stack([self.shards[i // SHARD][i % SHARD] for i in indices]))


FORMLESS = ("place", "backdrop", "style", "light", "weather")  # attributes that a jumbled image still shows


def judging_loss(values: dict[str, torch.Tensor], labels: torch.Tensor, formless: int) -> torch.Tensor:
    """Cross-entropy of all visible attributes; on the last `formless` images, the judge must be undecided."""
    whole, losses = len(labels) - formless, []
    for column, name in enumerate(ATTRIBUTES):
        logits, target = values[name], labels[:, column].clone()
        if name not in FORMLESS and formless:
            target[whole:] = UNKNOWN
            losses.append(-F.log_softmax(logits[whole:], 1).mean() * formless / len(labels))
        if (target != UNKNOWN).any():
            losses.append(F.cross_entropy(logits, target, ignore_index=UNKNOWN))
    return torch.stack(losses).sum()


class JudgeWithEyes(nn.Module):
    """A judge that also predicts the colours of both eyes, so that it learns where to look when it compares them."""

    def __init__(self, network: JudgeNetwork) -> None:
        super().__init__()
        self.network = network
        self.eyes = nn.Linear(ATTENTIONS * POOLED, 6)

    def forward(self, images: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Logits of every attribute, and the colours of the eyes (n, 6) from 0 to 1."""
        pooled, average = self.network.pool(images)
        return self.network.classify(pooled, average), self.eyes(pooled[:, list(ATTRIBUTES).index("eyes")])


def worsened(images: torch.Tensor, vae: AutoencoderKL, rng: torch.Generator) -> torch.Tensor:
    """Degraded images, half of them reconstructed first.

    An autoencoder smooths strokes and grain, as in every generated image; a judge that never saw that takes most
    reconstructed oil paintings for illustrations.
    """
    half = len(images) // 2
    decoded = reconstructed(vae, images[:half], LATENT_NOISE, rng).cpu()
    return degrade(torch.cat([decoded, images[half:]]), rng)


def train(
    recipe: Recipe,
    folder: Path,
    device: str,
    vae: AutoencoderKL,
    begin: JudgeNetwork | None = None,
) -> JudgeNetwork:
    """Train and calibrate the judge. vae: an autoencoder whose reconstructions it must read too."""
    torch.manual_seed(recipe.seed)
    data = JudgeImages(folder / "judge-pictures", recipe.judge_pictures, recipe.seed)
    learner = JudgeWithEyes(begin or JudgeNetwork()).to(device)
    trained, batch = len(data) - len(data) // ONE_UNSEEN_IN, recipe.judge.batch
    formless = max(1, batch // 16)

    def loss(step: int, rng: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        indices = torch.randint(trained, (batch,), generator=rng).tolist()
        images, labels = data.batch(indices), data.labels[indices].to(device)
        half = 2 * (batch - formless) // 3
        parts = [images[:half], worsened(images[half:-formless], vae, rng), shuffle_tiles(images[-formless:], rng)]
        with mixed(device):
            values, colours = learner(torch.cat(parts).to(device))
        known = data.eyes[indices].to(device).isfinite()
        errors = (colours.float() - data.eyes[indices].to(device).nan_to_num()).square() * known
        missed = errors[:half].sum() / known[:half].sum().clamp(min=1)
        error = judging_loss({name: logits.float() for name, logits in values.items()}, labels, formless)
        return error + EYES_WEIGHT * missed, {"eyes": missed.item()}

    def evaluate(model: JudgeWithEyes) -> dict[str, float]:
        model.eval()
        rows = list(range(trained, len(data)))[:500]
        shares = accuracy(model.network, data.batch(rows), data.labels[rows])
        return {f"{name} right": value for name, value in shares.items()}

    learner = fit("judge", learner, recipe.judge, loss, folder, seed=recipe.seed, evaluate=evaluate).eval()
    network = learner.network
    rng = torch.Generator().manual_seed(recipe.seed)
    rows = list(range(trained, len(data)))[:1000]
    whole, worse = data.batch(rows).tensor_split(2)
    calibrate(network, torch.cat([whole, worsened(worse, vae, rng)]), data.labels[rows])
    return network


@torch.no_grad()
def logits_of(network: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Logits (n, values) of every attribute."""
    device = next(network.parameters()).device
    parts = [network(part.to(device)) for part in images.split(64)]
    return {name: torch.cat([logits[name] for logits in parts]).cpu() for name in ATTRIBUTES}


def accuracy(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """The share of images that are read correctly, for every attribute."""
    values, shares = logits_of(network, images), {}
    for column, name in enumerate(ATTRIBUTES):
        known = labels[:, column] != UNKNOWN
        right = values[name].argmax(1) == labels[:, column]
        shares[name] = right[known].float().mean().item()
    return shares


def calibrate(network: JudgeNetwork, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Set each attribute's temperature to the one of a fine grid with the least cross-entropy on these images."""
    values = logits_of(network, images)
    grid = torch.logspace(-0.5, 0.5, 41)
    best = []
    for column, name in enumerate(ATTRIBUTES):
        target = labels[:, column]
        costs = [F.cross_entropy(values[name] / t, target, ignore_index=UNKNOWN) for t in grid]
        best.append(grid[int(torch.stack(costs).argmin())] if (target != UNKNOWN).any() else torch.tensor(1.0))
    network.get_buffer("temperature").copy_(torch.stack(best))
