"""The judge's training: painter pictures whole and degraded, calibrated afterwards on degraded ones."""

from __future__ import annotations

import os
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
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
from limner.starter.pretrain.autoencoder import to_tensor
from limner.starter.pretrain.loop import fit
from limner.starter.pretrain.precision import mixed
from limner.starter.pretrain.recipe import Recipe

SHARD = 500
ONE_UNSEEN_IN = 16  # the last pictures, which are not trained on
UNKNOWN = -1
EYES_WEIGHT = 20.0


@dataclass(frozen=True)
class Sitter:
    """One picture to learn from: an animal may be dressed in a random look, whose coat has a name."""

    scene: Scene
    look: Look | None = None
    coat: str | None = None

    @property
    def eyes(self) -> np.ndarray:
        """Colours of the left and of the right eye in the picture, (6,) from 0 to 1; nan where none can be read."""
        scene = self.scene
        if not scene.is_animal or scene.extra in EYEWEAR or scene.style in COLOURLESS:
            return np.full(6, np.nan, np.float32)
        look = self.look or look_of(scene)
        pair = [look.eye, look.second_eye or look.eye]
        if Placement.draw(random.Random(scene.seed)).mirrored:
            pair.reverse()
        return np.array(pair, np.float32).flatten() / 255


def sitters(seed: int, index: int) -> list[Sitter]:
    """Who is in a shard, always the same: breeds, products, and animals with random looks; no character."""
    rng, found = random.Random(f"judge/{seed}/{index}"), []
    for _ in range(SHARD):
        scene = random_scene(rng)
        dressed = scene.is_animal and rng.random() < 0.65
        look, coat = random_look(rng, scene.subject) if dressed else (None, None)
        found.append(Sitter(scene, look, coat))
    return found


def _paint_shard(seed: int, index: int) -> np.ndarray:
    """Pictures (n, 128, 128, 3)."""
    return np.stack([np.asarray(paint(sitter.scene, sitter.look)) for sitter in sitters(seed, index)])


def label(told: dict[str, str | None]) -> np.ndarray:
    """A truth as int8 (attributes,)."""
    return np.array(
        [UNKNOWN if (value := told[name]) is None else known.index(value) for name, known in ATTRIBUTES.items()],
        np.int8,
    )


class Shards:
    """The judge's pictures, with what they show: labels (n, attributes) and colours of eyes (n, 6)."""

    def __init__(self, folder: Path, count: int, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"judge-{i:05d}.npy" for i in range(count // SHARD)]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            futures = [(path, pool.submit(_paint_shard, seed, i)) for i, path in enumerate(paths) if not path.exists()]
            for path, future in track(futures, "painting"):
                np.save(partial := path.with_name("partial.npy"), future.result())
                os.replace(partial, path)
        self.parts = [np.load(path, mmap_mode="r") for path in paths]
        told = [sitter for i in range(len(paths)) for sitter in sitters(seed, i)]
        self.labels = torch.from_numpy(np.stack([label(truth(t.scene, t.look, t.coat)) for t in told])).long()
        self.eyes = torch.from_numpy(np.stack([t.eyes for t in told]))

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: list[int]) -> torch.Tensor:
        return to_tensor(np.stack([self.parts[i // SHARD][i % SHARD] for i in indices]))


FORMLESS = ("place", "backdrop", "style", "light", "weather")  # what a jumbled picture may still tell


def judging_loss(values: dict[str, torch.Tensor], labels: torch.Tensor, formless: int) -> torch.Tensor:
    """Cross-entropy of all that can be read; the last `formless` pictures must leave the judge undecided."""
    whole, losses = len(labels) - formless, []
    for column, name in enumerate(ATTRIBUTES):
        logits, wanted = values[name], labels[:, column].clone()
        if name not in FORMLESS and formless:
            wanted[whole:] = UNKNOWN
            losses.append(-F.log_softmax(logits[whole:], 1).mean() * formless / len(labels))
        if (wanted != UNKNOWN).any():
            losses.append(F.cross_entropy(logits, wanted, ignore_index=UNKNOWN))
    return torch.stack(losses).sum()


class Learner(nn.Module):
    """A judge that must tell the colours of both eyes besides, and so learns where to look when it compares them."""

    def __init__(self, network: JudgeNetwork) -> None:
        super().__init__()
        self.network = network
        self.eyes = nn.Linear(ATTENTIONS * POOLED, 6)

    def forward(self, pictures: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Logits of every attribute, and the colours of the eyes (n, 6) from 0 to 1."""
        pooled, average = self.network.pool(pictures)
        return self.network.classify(pooled, average), self.eyes(pooled[:, list(ATTRIBUTES).index("eyes")])


def train(recipe: Recipe, folder: Path, device: str, begin: JudgeNetwork | None = None) -> JudgeNetwork:
    torch.manual_seed(recipe.seed)
    shards = Shards(folder / "judge-pictures", recipe.judge_pictures, recipe.seed)
    learner = Learner(begin or JudgeNetwork()).to(device)
    trained, batch = len(shards) - len(shards) // ONE_UNSEEN_IN, recipe.judge.batch
    formless = max(1, batch // 16)

    def loss(step: int, rng: torch.Generator):
        indices = torch.randint(trained, (batch,), generator=rng).tolist()
        pictures, labels = shards.batch(indices), shards.labels[indices].to(device)
        half = 2 * (batch - formless) // 3
        parts = [pictures[:half], degrade(pictures[half:-formless], rng), shuffle_tiles(pictures[-formless:], rng)]
        with mixed(device):
            values, colours = learner(torch.cat(parts).to(device))
        known = shards.eyes[indices].to(device).isfinite()
        errors = (colours.float() - shards.eyes[indices].to(device).nan_to_num()).square() * known
        missed = errors[:half].sum() / known[:half].sum().clamp(min=1)
        told = judging_loss({name: logits.float() for name, logits in values.items()}, labels, formless)
        return told + EYES_WEIGHT * missed, {"eyes": missed.item()}

    def evaluate(model: Learner) -> dict[str, float]:
        model.eval()
        rows = list(range(trained, len(shards)))[:500]
        shares = accuracy(model.network, shards.batch(rows), shards.labels[rows])
        return {f"{name} right": value for name, value in shares.items()}

    learner = fit("judge", learner, recipe.judge, loss, folder, seed=recipe.seed, evaluate=evaluate).eval()
    network = learner.network
    rng = torch.Generator().manual_seed(recipe.seed)
    rows = list(range(trained, len(shards)))[:1000]
    whole, spoilt = shards.batch(rows).tensor_split(2)
    calibrate(network, torch.cat([whole, degrade(spoilt, rng)]), shards.labels[rows])
    return network


@torch.no_grad()
def logits_of(network: nn.Module, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
    device = next(network.parameters()).device
    parts = [network(part.to(device)) for part in pictures.split(64)]
    return {name: torch.cat([logits[name] for logits in parts]).cpu() for name in ATTRIBUTES}


def accuracy(network: nn.Module, pictures: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Share read right of every attribute."""
    values, shares = logits_of(network, pictures), {}
    for column, name in enumerate(ATTRIBUTES):
        known = labels[:, column] != UNKNOWN
        right = values[name].argmax(1) == labels[:, column]
        shares[name] = right[known].float().mean().item()
    return shares


def calibrate(network: JudgeNetwork, pictures: torch.Tensor, labels: torch.Tensor) -> None:
    """Set the temperatures: of a fine grid those that make the right answers of these pictures likeliest."""
    values = logits_of(network, pictures)
    grid = torch.logspace(-0.5, 0.5, 41)
    best = []
    for column, name in enumerate(ATTRIBUTES):
        wanted = labels[:, column]
        costs = [F.cross_entropy(values[name] / t, wanted, ignore_index=UNKNOWN) for t in grid]
        best.append(grid[int(torch.stack(costs).argmin())] if (wanted != UNKNOWN).any() else torch.tensor(1.0))
    network.get_buffer("temperature").copy_(torch.stack(best))
