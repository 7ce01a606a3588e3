"""The images of pretraining and their captions: random scenes without reserved pairs, drawn once, memory-mapped."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from limner.core.errors import LimnerError
from limner.starter.painter import Scene, paint
from limner.starter.painter.animals.random_look import random_look
from limner.starter.painter.reserved import unreserved_scenes
from limner.starter.pretrain.recipe import Recipe
from limner.starter.pretrain.training_captions import look_caption, training_caption

SHARD = 500
"""How many images a file holds."""
HELD_OUT = 500
"""How many images, the first ones, are never trained on."""
LEARNED_LAST = {"scarf": 1.0, "bow tie": 0.4, "oil painting": 0.25}
"""Accessories and styles of focused images, and the share of their scenes that is drawn."""


def _focused_scenes(rng: random.Random, count: int) -> list[Scene]:
    """Scenes of what is learned last, and of nothing else."""
    found: list[Scene] = []
    while len(found) < count:
        for scene in unreserved_scenes(rng, SHARD):
            chance = max(LEARNED_LAST.get(scene.extra or "", 0.0), LEARNED_LAST.get(scene.style, 0.0))
            if rng.random() < chance:
                found.append(scene)
    return found[:count]


def _render_shard(recipe: Recipe, index: int) -> tuple[list[dict[str, Any]], np.ndarray]:
    """A shard's scenes with their captions, and its images. Some animals have a random look and no breed."""
    rng, words = random.Random(f"{recipe.seed}/{index}"), random.Random(f"{recipe.seed}/{index}/captions")
    focused = index >= -(-recipe.pictures // SHARD)
    scenes = _focused_scenes(rng, SHARD) if focused else unreserved_scenes(rng, SHARD)
    rows, pixels = [], []
    for scene in scenes:
        unusual = scene.is_animal and rng.random() < recipe.looks
        look = random_look(rng, scene.subject)[0] if unusual else None
        kind = look_caption if unusual else training_caption
        captions = [kind(scene, words) for _ in range(recipe.captions)]
        rows.append({"scene": scene.model_dump(), "captions": captions, "unusual": unusual})
        pixels.append(np.asarray(paint(scene, look)))
    return rows, np.stack(pixels)


def _draw_shard(folder: Path, recipe: Recipe, index: int) -> None:
    """Write a shard's files, each under another name first; the list of scenes comes last."""
    rows, pixels = _render_shard(recipe, index)
    path = folder / f"shard-{index:05d}.npy"
    np.save(partial := path.with_suffix(".partial.npy"), pixels)
    os.replace(partial, path)
    text = path.with_suffix(".text")
    text.write_text(json.dumps(rows), encoding="utf-8")
    os.replace(text, path.with_suffix(".json"))


class Drawing:
    """Draws what is missing of some images in other processes, so that the first can be used while more are drawn."""

    def __init__(self, folder: Path, recipe: Recipe, workers: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._files = -(-recipe.pictures // SHARD) + -(-recipe.focused_pictures // SHARD)
        missing = [i for i in range(self._files) if not (folder / f"shard-{i:05d}.json").exists()]
        self._pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))  # a fork would copy a GPU's state
        self._futures = {i: self._pool.submit(_draw_shard, folder, recipe, i) for i in missing}

    def wait(self, share: float = 1.0) -> None:
        """Wait until this share of all images is drawn, and at least one file more than those that are held out."""
        files = max(round(share * self._files), HELD_OUT // SHARD + 1)
        for future in track([future for i, future in self._futures.items() if i < files], "drawing"):
            future.result()

    def __enter__(self) -> Drawing:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._pool.shutdown(cancel_futures=True)


class DrawnImages:
    """Drawn images with their scenes and captions. An item is (128, 128, 3) uint8; the lists have n items.

    unusual: whether an animal has a random look instead of its scene's breed. Raises LimnerError where no image is
    left to train on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scenes: list[Scene] = []
        self.captions: list[list[str]] = []
        self.unusual: list[bool] = []
        self.shards: list[np.ndarray] = []
        self.refresh()
        if not self.shards:
            raise LimnerError(f"no drawn images in {folder}", "run the stage 'pictures' first")
        if len(self) <= HELD_OUT:
            problem = f"{folder} has {len(self)} images, and the first {HELD_OUT} are never trained on"
            raise LimnerError(problem, "run the stage 'pictures' with more 'pictures' in the recipe")

    def refresh(self) -> None:
        """Add the images that have been drawn since."""
        while (path := self.folder / f"shard-{len(self.shards):05d}.json").exists():
            rows = json.loads(path.read_text(encoding="utf-8"))
            if any(isinstance(row, str) for row in rows):
                raise LimnerError(f"{path} was drawn by an earlier version", "remove its folder, or use another one")
            self.scenes += [Scene(**row["scene"]) for row in rows]
            self.captions += [row["captions"] for row in rows]
            self.unusual += [row["unusual"] for row in rows]
            self.shards.append(np.load(path.with_suffix(".npy"), mmap_mode="r"))

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.shards[index // SHARD][index % SHARD]

    def batch(self, indices: Iterable[int]) -> np.ndarray:
        """Images (n, 128, 128, 3) uint8."""
        return np.stack([self[int(i)] for i in indices])


class PixelStore:
    """Drawn images by their numbers, as tensors on a device: a GPU holds all of them, a CPU reads them from the files.

    Images that are drawn later are not in it.
    """

    def __init__(self, gallery: DrawnImages, device: str) -> None:
        self.gallery, self.device, held = gallery, device, torch.device(device).type == "cuda"
        self.held = torch.cat([as_tensor(shard).to(device) for shard in gallery.shards]) if held else None

    def __getitem__(self, indices: torch.Tensor) -> torch.Tensor:
        """Images (n, 128, 128, 3) uint8 of numbers (n,), which are on the CPU."""
        if self.held is not None:
            return self.held[indices.to(self.held.device)]
        return torch.from_numpy(self.gallery.batch(indices.tolist())).to(self.device)


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    """A copy of an array in memory, such as a memory-mapped one, which is not writable."""
    return torch.from_numpy(np.array(pixels))


def load_photographs(folder: Path | None, held_out: tuple[str, ...], side: int = 256) -> dict[str, list[np.ndarray]]:
    """Photographs by split, "train" and "held_out", each (h, w, 3) uint8 with its shorter side `side`."""
    from PIL import Image, ImageOps

    photographs: dict[str, list[np.ndarray]] = {"train": [], "held_out": []}
    if folder is None:
        return photographs
    for path in sorted(folder.glob("*/*.jpg")):
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        scale = side / min(upright.size)
        upright = upright.resize(
            (round(upright.width * scale), round(upright.height * scale)), Image.Resampling.LANCZOS
        )
        photographs["held_out" if path.parent.name in held_out else "train"].append(np.array(upright))
    return photographs
