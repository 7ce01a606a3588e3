"""What the invisible watermark survives, how much it changes images, its time, and its false positives.

    python benchmarks/watermark.py FOLDER --side 256 --pictures 24 --json watermark-256.json

FOLDER holds images of any kind. Each is cropped to a square of `--side` pixels, watermarked, and changed in each way.
"found": the watermark was found; "named": its payload too. At the end the original images are searched.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from figures import machine, print_table, write_json
from limner.imaging.crop import center_square
from limner.imaging.decode import SUFFIXES, open_image
from limner.provenance import watermark

Change = Callable[[Image.Image], Image.Image]


def jpeg(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        file = BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return change


def scaled(by: float) -> Change:
    size = Image.Resampling.LANCZOS
    return lambda image: image.resize((round(image.width * by), round(image.height * by)), size)


def cut(part: float) -> Change:
    """The centre crop that keeps this share of each side."""

    def change(image: Image.Image) -> Image.Image:
        border = round(image.width * (1 - part) / 2)
        return image.crop((border, border, image.width - border, image.height - border))

    return change


def noise(deviation: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        values = np.asarray(image) + np.random.default_rng(0).normal(0, deviation, (image.height, image.width, 3))
        return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))

    return change


def after(*changes: Change) -> Change:
    def change(image: Image.Image) -> Image.Image:
        for one in changes:
            image = one(image)
        return image

    return change


CHANGES: dict[str, Change] = {
    "none": lambda image: image,
    "JPEG 75": jpeg(75),
    "JPEG 50": jpeg(50),
    "JPEG 30": jpeg(30),
    "half": scaled(0.5),
    "half and back": after(scaled(0.5), scaled(2)),
    "half, then JPEG 75": after(scaled(0.5), jpeg(75)),
    "JPEG 75, half, JPEG 75": after(jpeg(75), scaled(0.5), jpeg(75)),
    "0.7, then JPEG 80": after(scaled(0.7), jpeg(80)),
    "a quarter": scaled(0.25),
    "blur, radius 1": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "noise, deviation 8": noise(8),
    "brightness 1.2": lambda image: image.point(lambda value: value * 1.2),
    "brightness 0.7": lambda image: image.point(lambda value: value * 0.7),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "16 colours": lambda image: image.quantize(16).convert("RGB"),
    "mirrored": ImageOps.mirror,
    "turned by 1 degree": lambda image: image.rotate(1, Image.Resampling.BICUBIC),
    "turned by 3 degrees": lambda image: image.rotate(3, Image.Resampling.BICUBIC),
    "10% cut off": cut(0.9),
    "10% cut off, JPEG 75": after(cut(0.9), jpeg(75)),
    "30% cut off": cut(0.7),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    files = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    files = files[:: max(1, len(files) // options.pictures)][: options.pictures]
    counts = {name: [0, 0] for name in CHANGES}
    noises, embedding, reading, searching, false = [], [], [], [], 0
    for path in files:
        plain = np.asarray(center_square(open_image(path), options.side))
        name = watermark.payload_for(plain)
        began = time.perf_counter()
        marked = watermark.embed(plain, name)
        embedding.append(time.perf_counter() - began)
        noises.append(10 * np.log10(255**2 / np.mean((marked.astype(float) - plain) ** 2)))
        for change, act in CHANGES.items():
            pixels = np.asarray(act(Image.fromarray(marked)))
            began = time.perf_counter()
            found = watermark.detect(pixels)
            reading.append(time.perf_counter() - began)
            counts[change][0] += found is not None
            counts[change][1] += found is not None and found.payload == name
        began = time.perf_counter()
        false += watermark.detect(plain) is not None
        searching.append(time.perf_counter() - began)
    rows = [
        [change, f"{100 * a / len(files):.0f}%", f"{100 * b / len(files):.0f}%"] for change, (a, b) in counts.items()
    ]
    print_table(["change", "found", "named"], rows)
    figures = {
        "pictures": len(files),
        "side": options.side,
        "psnr_median": median(noises),
        "psnr_least": min(noises),
        "embed_ms": 1000 * median(embedding),
        "read_ms": 1000 * median(reading),
        "search_ms": 1000 * median(searching),
        "found_in_unmarked": false,
    }
    for key, value in figures.items():
        print(f"{key:18} {value:.4g}")
    if options.json:
        write_json(options.json, {"machine": machine(), "counts": counts, **figures})


if __name__ == "__main__":
    main()
