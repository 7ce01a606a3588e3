"""`python -m limner.starter.painter.sectors FOLDER --each 200`: pictures for ten industries, with what each shows.

FOLDER/pictures.csv names every picture with its caption, industry, product, colour, place, style, light and weather.
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
"""What the painter can paint for each industry."""
TOLD = ("colour", "place", "style", "light", "weather")


def scenes(each: int, seed: int) -> Iterator[tuple[str, Scene]]:
    """So many scenes for each industry, one industry after another."""
    rng = random.Random(seed)
    for sector, products in SECTORS.items():
        for number in range(each):
            yield sector, random_scene(rng, subject=products[number % len(products)])


def write_sectors(folder: Path, each: int, seed: int = 1) -> None:
    """Paint all of them into folders of the industries' names, and tell of them in pictures.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "pictures.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "text", "industry", "product", *TOLD])
        for number, (sector, scene) in enumerate(tqdm(scenes(each, seed), total=each * len(SECTORS), unit="picture")):
            name = f"{sector.replace(' ', '_')}/{number % each + 1:04d}.png"
            (folder / name).parent.mkdir(exist_ok=True)
            paint(scene).save(folder / name)
            table.writerow([name, caption(scene), sector, scene.subject, *(getattr(scene, each) for each in TOLD)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=200, help="pictures of an industry")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write_sectors(options.folder, options.each, options.seed)


if __name__ == "__main__":
    main()
