"""How much of the subject crops keep, how well masks fit, and how long both take, on images with known subjects.

    python benchmarks/crops.py --pictures 300 --json crops.json

Painter images are put into wide ones. On either side is the same place without the subject, mirrored so that there is
no seam. A random part, 1.6 to 3 times as wide as high, is cropped to a square. "kept" is the share of the subject's
pixels in the crop. A mask's IoU is with the subject's true pixels.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from figures import machine, print_table, write_json
from limner.imaging.crop import crop_box
from limner.imaging.luminance import otsu
from limner.imaging.masks import make_mask
from limner.plugins import registry
from limner.starter.painter import compose, random_scene
from limner.starter.painter.canvas import SIZE
from limner.starter.painter.style_tools import subject_mask
from limner.starter.painter.styles import render


def wide_picture(rng: random.Random) -> tuple[Image.Image, np.ndarray]:
    """An image with its subject anywhere in it, and the subject's mask, (h, w) of bool."""
    scene = random_scene(rng)
    shapes = compose(scene).shapes
    truth = np.asarray(subject_mask(shapes, 2).reduce(2)) > 127
    whole, empty = (
        np.asarray(render(some, scene.style, np.random.default_rng(scene.seed)))
        for some in (shapes, [shape for shape in shapes if shape.depth != "subject"])
    )
    at = rng.randrange(3)
    tiles = [whole if place == at else empty[:, :: -1 if (place - at) % 2 else 1] for place in range(3)]
    truths = [truth if place == at else np.zeros_like(truth) for place in range(3)]
    width = rng.randint(200, 3 * SIZE)
    left = rng.randint(max(0, (at + 1) * SIZE - width), min(at * SIZE, 3 * SIZE - width))
    part = slice(left, left + width)
    return Image.fromarray(np.concatenate(tiles, 1)[:, part]), np.concatenate(truths, 1)[:, part]


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def kept(picture: Image.Image, truth: np.ndarray, found: np.ndarray | None) -> float:
    left, top, right, bottom = crop_box(picture.size, (SIZE, SIZE), found)
    return float(truth[top:bottom, left:right].sum() / truth.sum())


def measured(count: int, seed: int) -> dict[str, list[float]]:
    rng, finder = random.Random(seed), registry.detectors.get("saliency").finder(None)
    figures: dict[str, list[float]] = {name: [] for name in ("centre", "subject", "map", "mask", "find ms", "mask ms")}
    for _ in range(count):
        picture, truth = wide_picture(rng)
        began = perf_counter()
        found = finder(picture, "")
        figures["find ms"].append(1000 * (perf_counter() - began))
        figures["centre"].append(kept(picture, truth, None))
        figures["subject"].append(kept(picture, truth, found))
        began = perf_counter()
        mask = make_mask(picture, found)
        figures["mask ms"].append(1000 * (perf_counter() - began))
        seen = np.zeros(truth.shape) if found is None else np.asarray(Image.fromarray(found).resize(picture.size))
        figures["map"].append(iou(seen > otsu(seen), truth))
        figures["mask"].append(iou(np.asarray(mask) > 127, truth) if isinstance(mask, Image.Image) else 0.0)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    figures = measured(options.pictures, options.seed)
    shown = {
        "kept by the centre crop": np.mean(figures["centre"]),
        "kept by the subject's crop": np.mean(figures["subject"]),
        "whole (99%) in the centre crop": np.mean(np.array(figures["centre"]) > 0.99),
        "whole (99%) in the subject's crop": np.mean(np.array(figures["subject"]) > 0.99),
        "less than half in the subject's crop": np.mean(np.array(figures["subject"]) < 0.5),
        "IoU of the map above its threshold": np.mean(figures["map"]),
        "IoU of the mask": np.mean(figures["mask"]),
        "IoU of the mask, median": np.median(figures["mask"]),
        "finding, ms (median)": np.median(figures["find ms"]),
        "making a mask, ms (median)": np.median(figures["mask ms"]),
    }
    rounded = {name: round(float(value), 3) for name, value in shown.items()}
    print_table(("figure", "value"), [(name, f"{value:g}") for name, value in rounded.items()])
    write_json(options.json, {"pictures": options.pictures, "figures": rounded, "machine": machine()})


if __name__ == "__main__":
    main()
