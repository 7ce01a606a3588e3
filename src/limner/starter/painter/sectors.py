"""`python -m limner.starter.painter.sectors FOLDER --each 200`: images for ten industries, with their attributes.

FOLDER/pictures.csv has a row for every image: caption, industry, product, colour, place, style, light and weather.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from limner.starter.painter.captions import caption, without_attributes
from limner.starter.painter.paint import paint
from limner.starter.painter.scene import Scene, random_scene
from limner.starter.painter.vocabulary import STUDIO


@dataclass(frozen=True)
class Sector:
    """What an industry shows: its products, and the backdrop that is its look."""

    products: tuple[str, str]
    backdrop: str


SECTORS = {
    "technology": Sector(("phone", "headphones"), "blue"),
    "fashion": Sector(("sneaker", "watch"), "pink"),
    "food": Sector(("mug", "teapot"), "orange"),
    "health": Sector(("bottle", "watch"), "green"),
    "finance": Sector(("phone", "car"), "grey"),
    "travel": Sector(("backpack", "car"), "teal"),
    "real estate": Sector(("chair", "lamp"), "brown"),
    "education": Sector(("backpack", "lamp"), "yellow"),
    "beauty": Sector(("bottle", "chair"), "purple"),
    "sports": Sector(("sneaker", "bottle"), "red"),
}
COLUMNS = ("colour", "place", "style", "light", "weather")


def scenes(each: int, seed: int) -> Iterator[tuple[str, Scene]]:
    """Yield `each` scenes of every industry, with its name: half of them before its backdrop, half anywhere."""
    rng = random.Random(seed)
    for name, sector in SECTORS.items():
        for number in range(each):
            look = {"place": STUDIO, "backdrop": sector.backdrop} if number // 2 % 2 else {}
            yield name, random_scene(rng, subject=sector.products[number % 2], **look)


def sector_caption(sector: str, scene: Scene) -> str:
    """The caption of a scene of an industry. It leaves out the industry's backdrop, so that a model learns it."""
    usual = scene.backdrop == SECTORS[sector].backdrop
    return caption(without_attributes(scene, "backdrop") if usual else scene)


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
            table.writerow(
                [
                    path,
                    sector_caption(sector, scene),
                    sector,
                    scene.subject,
                    *(getattr(scene, name) for name in COLUMNS),
                ]
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=200, help="images per industry")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write_sectors(options.folder, options.each, options.seed)


if __name__ == "__main__":
    main()
