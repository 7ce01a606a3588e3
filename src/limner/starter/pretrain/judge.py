"""The judge's training: painter pictures whole and degraded, calibrated afterwards on degraded ones."""

from __future__ import annotations

import os
import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from torch import nn

from ..judge.attributes import ATTRIBUTES, truth
from ..judge.degrade import degraded, jumbled
from ..judge.network import Network
from ..painter import paint, random_scene
from ..painter.looks import random_look
from .autoencoder import to_tensor
from .loop import fit
from .recipe import Recipe

SHARD = 500
ONE_UNSEEN_IN = 16  # the last pictures, which are not trained on
UNKNOWN = -1


def _paint_shard(seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 128, 128, 3) and labels (n, attributes): the index of a value, or UNKNOWN."""
    rng = random.Random(f"judge/{seed}/{index}")
    pixels, labels = [], []
    for _ in range(SHARD):
        scene, look, coat = random_scene(rng), None, None
        if scene.is_animal and rng.random() < 0.65:
            look, coat = random_look(rng, scene.subject)
        pixels.append(np.asarray(paint(scene, look)))
        labels.append(label(truth(scene, look, coat)))
    return np.stack(pixels), np.stack(labels)


def label(told: dict[str, str | None]) -> np.ndarray:
    """A truth as int8 (attributes,)."""
    return np.array(
        [UNKNOWN if (value := told[name]) is None else known.index(value) for name, known in ATTRIBUTES.items()],
        np.int8,
    )


class Shards:
    """The judge's pictures: breeds, products, and animals with random looks; no character is among them."""

    def __init__(self, folder: Path, count: int, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"judge-{i:05d}.npy" for i in range(count // SHARD)]
        missing = [i for i, path in enumerate(paths) if not path.with_suffix(".labels.npy").exists()]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            futures = [(i, pool.submit(_paint_shard, seed, i)) for i in missing]
            for i, future in track(futures, "painting"):
                pixels, labels = future.result()
                for path, array in ((paths[i], pixels), (paths[i].with_suffix(".labels.npy"), labels)):
                    np.save(partial := path.with_name("partial.npy"), array)
                    os.replace(partial, path)
        self.parts = [np.load(path, mmap_mode="r") for path in paths]
        self.labels = torch.from_numpy(
            np.concatenate([np.load(path.with_suffix(".labels.npy")) for path in paths])
        ).long()

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


def train(recipe: Recipe, folder: Path, device: str, begin: Network | None = None) -> Network:
    torch.manual_seed(recipe.seed)
    shards = Shards(folder / "judge-pictures", recipe.judge_pictures, recipe.seed)
    network = (begin or Network()).to(device)
    trained, batch = len(shards) - len(shards) // ONE_UNSEEN_IN, recipe.judge.batch
    formless = max(1, batch // 16)

    def loss(step: int, rng: torch.Generator):
        indices = torch.randint(trained, (batch,), generator=rng).tolist()
        pictures, labels = shards.batch(indices), shards.labels[indices].to(device)
        half = 2 * (batch - formless) // 3
        parts = [pictures[:half], degraded(pictures[half:-formless], rng), jumbled(pictures[-formless:], rng)]
        with torch.autocast(device.split(":")[0], torch.bfloat16):
            values = network(torch.cat(parts).to(device))
        return judging_loss({name: logits.float() for name, logits in values.items()}, labels, formless), {}

    def evaluate(model: nn.Module) -> dict[str, float]:
        model.eval()
        rows = list(range(trained, len(shards)))[:500]
        shares = accuracy(model, shards.batch(rows), shards.labels[rows])
        return {f"{name} right": value for name, value in shares.items()}

    network = fit("judge", network, recipe.judge, loss, folder, seed=recipe.seed, evaluate=evaluate).eval()
    rng = torch.Generator().manual_seed(recipe.seed)
    rows = list(range(trained, len(shards)))[:1000]
    whole, spoilt = shards.batch(rows).tensor_split(2)
    calibrate(network, torch.cat([whole, degraded(spoilt, rng)]), shards.labels[rows])
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


def calibrate(network: Network, pictures: torch.Tensor, labels: torch.Tensor) -> None:
    """Set the temperatures: of a fine grid those that make the right answers of these pictures likeliest."""
    values = logits_of(network, pictures)
    grid = torch.logspace(-0.5, 0.5, 41)
    best = []
    for column, name in enumerate(ATTRIBUTES):
        wanted = labels[:, column]
        costs = [F.cross_entropy(values[name] / t, wanted, ignore_index=UNKNOWN) for t in grid]
        best.append(grid[int(torch.stack(costs).argmin())] if (wanted != UNKNOWN).any() else torch.tensor(1.0))
    network.get_buffer("temperature").copy_(torch.stack(best))
