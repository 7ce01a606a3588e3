"""The images of pretraining: random scenes without reserved pairs, drawn once, in memory-mapped arrays."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from rich.progress import track

from limner.starter.painter import Scene, paint, random_scene
from limner.starter.painter.reserved import holds_reserved

SHARD = 500
"""How many images a file holds."""


def _render_shard(seed: int, index: int) -> tuple[list[str], np.ndarray]:
    rng = random.Random(f"{seed}/{index}")
    scenes: list[Scene] = []
    while len(scenes) < SHARD:
        if not holds_reserved(scene := random_scene(rng)):
            scenes.append(scene)
    return [scene.model_dump_json() for scene in scenes], np.stack([np.asarray(paint(scene)) for scene in scenes])


class DrawnImages:
    """Drawn images with their scenes. An item is (128, 128, 3) uint8; `scenes` is a list of n."""

    def __init__(self, folder: Path) -> None:
        shards = sorted(folder.glob("shard-*.json"))
        if not shards:
            raise FileNotFoundError(f"no drawn images in {folder}; run the stage 'pictures' first")
        lists = [json.loads(path.read_text(encoding="utf-8")) for path in shards]
        self.scenes = [Scene(**json.loads(line)) for lines in lists for line in lines]
        self.shards = [np.load(path.with_suffix(".npy"), mmap_mode="r") for path in shards]

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.shards[index // SHARD][index % SHARD]

    def batch(self, indices: Iterable[int]) -> np.ndarray:
        """Images (n, 128, 128, 3) uint8."""
        return np.stack([self[int(i)] for i in indices])

    @staticmethod
    def build(folder: Path, count: int, seed: int, workers: int) -> None:
        """Draw what is missing of `count` images; finished files are kept."""
        folder.mkdir(parents=True, exist_ok=True)
        missing = [i for i in range(-(-count // SHARD)) if not (folder / f"shard-{i:05d}.json").exists()]
        with ProcessPoolExecutor(workers) as pool:
            futures = [(i, pool.submit(_render_shard, seed, i)) for i in missing]
            for index, future in track(futures, "drawing"):
                scenes, pixels = future.result()
                path = folder / f"shard-{index:05d}.npy"
                np.save(partial := path.with_suffix(".partial.npy"), pixels)
                os.replace(partial, path)
                text = path.with_suffix(".text")
                text.write_text(json.dumps(scenes), encoding="utf-8")
                os.replace(text, path.with_suffix(".json"))


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
        photographs["held_out" if path.parent.name in held_out else "train"].append(np.asarray(upright))
    return photographs
