"""`python -m limner.starter.painter.sectors FOLDER --each 200`: images for ten industries, with their attributes.

FOLDER/pictures.csv has a row for every image: caption, industry, product, colour, place, style, light and weather.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from limner.starter.painter.captions import caption
from limner.starter.painter.paint import paint
from limner.starter.painter.scene import Scene, random_scene

SECTORS: dict[str, tuple[str, ...]] = {
    "technology": ("phone", "headphones"),
    "fashion": ("sneaker", "watch"),
    "food": ("mug", "teapot"),
    "health": ("bottle", "watch"),
    "finance": ("phone", "car"),
    "travel": ("backpack", "car"),
    "real estate": ("chair", "lamp"),
    "education": ("backpack", "lamp"),
    "beauty": ("bottle", "chair"),
    "sports": ("sneaker", "bottle"),
}
"""The products of each industry."""
COLUMNS = ("colour", "place", "style", "light", "weather")


def scenes(each: int, seed: int) -> Iterator[tuple[str, Scene]]:
    """Yield `each` scenes of every industry, with its name."""
    rng = random.Random(seed)
    for sector, products in SECTORS.items():
        for number in range(each):
            yield sector, random_scene(rng, subject=products[number % len(products)])


def write_sectors(folder: Path, each: int, seed: int = 1) -> None:
    """Draw the images into a folder per industry, and write pictures.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "pictures.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "text", "industry", "product", *COLUMNS])
        for number, (sector, scene) in enumerate(tqdm(scenes(each, seed), total=each * len(SECTORS), unit="image")):
            path = f"{sector.replace(' ', '_')}/{number % each + 1:04d}.png"
            (folder / path).parent.mkdir(exist_ok=True)
            paint(scene).save(folder / path)
            table.writerow([path, caption(scene), sector, scene.subject, *(getattr(scene, name) for name in COLUMNS)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=200, help="images per industry")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write_sectors(options.folder, options.each, options.seed)


if __name__ == "__main__":
    main()
