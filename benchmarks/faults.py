"""How often each image fault is found where it was planted, and reported where there is none.

    python benchmarks/faults.py ../shared/data/dreambench --pictures 100 --json faults.json

The folder holds clean photos. Painter images of 128 px, plain and enlarged to 512 px, are tested too. Faults are
planted in all of them. It prints two tables: faults reported of clean images, and planted faults found.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from figures import machine, print_table, write_json
from limner.core.image_faults import FAULTS
from limner.data.quality.measures import measure_quality, quality_faults, reduce_image
from limner.data.quality.overlays import OverlayFinder
from limner.data.quality.text import text_likelihood
from limner.imaging.decode import SUFFIXES, open_image
from limner.starter.painter import paint, random_scene

SIDE = 512
KINDS = ("flat", "blurred", "dark", "bright", "pale", "grey", "odd_shape", "border", "text")
WORDS = ("Summer sale", "Happy birthday to you", "www.example.com", "LIMITED OFFER", "Visit our shop")

Change = Callable[[Image.Image], Image.Image]


def pixelwise(act: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(image: Image.Image) -> Image.Image:
        values = act(np.asarray(image).astype(np.float32))
        return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))

    return change


def gaussian(sigma: float) -> Change:
    return pixelwise(lambda values: cv2.GaussianBlur(values, (0, 0), sigma))


def motion(length: int, degrees: float) -> Change:
    kernel, middle = np.zeros((length, length), np.float32), (length - 1) / 2
    for step in np.linspace(-middle, middle, 4 * length):
        across, down = step * np.cos(np.radians(degrees)), step * np.sin(np.radians(degrees))
        kernel[round(middle + down), round(middle + across)] += 1
    return pixelwise(lambda values: cv2.filter2D(values, -1, kernel / kernel.sum()))


def enlarged(side: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        scale = side / max(image.size)
        less = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        return less.resize(image.size, Image.Resampling.BICUBIC)

    return change


def jpeg(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        file = BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return change


def letterbox(share: float, colour: str) -> Change:
    def change(image: Image.Image) -> Image.Image:
        band = round(image.height * share / 2)
        framed = Image.new("RGB", image.size, colour)
        framed.paste(image.crop((0, band, image.width, image.height - band)), (0, band))
        return framed

    return change


def written(height: int, boxed: bool) -> Change:
    rng, font = random.Random(height), ImageFont.load_default(height)

    def change(image: Image.Image) -> Image.Image:
        image = image.copy()
        draw, words = ImageDraw.Draw(image), rng.choice(WORDS)
        width = draw.textlength(words, font)
        x, y = rng.uniform(4, max(5, image.width - 4 - width)), rng.uniform(4, max(5, image.height - 8 - 1.3 * height))
        if boxed:
            draw.rectangle((x - 4, y - 2, x + width + 4, y + 1.3 * height), fill="white")
            draw.text((x, y), words, "black", font)
        else:
            draw.text((x, y), words, "white", font, stroke_width=max(1, height // 14), stroke_fill="black")
        return image

    return change


def stretched(image: Image.Image) -> Image.Image:
    return image.crop((0, 0, image.width, image.height // 4))


def marked(kind: str, opacity: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        image = image.resize((SIDE, SIDE)).convert("RGBA")
        layer = Image.new("RGBA", image.size, (255, 255, 255, 0))
        draw, colour = ImageDraw.Draw(layer), (255, 255, 255, round(255 * opacity))
        if kind == "corner":
            draw.text((340, 465), "(c) stockphoto", colour, ImageFont.load_default(24))
        elif kind == "centre":
            draw.text((100, 220), "SAMPLE", colour, ImageFont.load_default(90))
        else:
            for at in range(18):
                draw.text((10 + at % 3 * 170, 20 + at // 3 * 80), "sample", colour, ImageFont.load_default(36))
        return Image.alpha_composite(image, layer).convert("RGB")

    return change


PLANTED: dict[str, tuple[str, Change]] = {
    **{f"Gaussian blur, sigma {sigma}": ("blurred", gaussian(sigma)) for sigma in (2, 3, 4, 6, 8)},
    **{f"motion blur, {n} px, {a} degrees": ("blurred", motion(n, a)) for n in (9, 15, 25) for a in (0, 45)},
    "enlarged from 64 px": ("blurred", enlarged(64)),
    "enlarged from 96 px": ("blurred", enlarged(96)),
    "sigma 4, then JPEG 20": ("blurred", lambda image: jpeg(20)(gaussian(4)(image))),
    **{f"exposure x {by}": ("dark", pixelwise(lambda v, by=by: v * by)) for by in (0.1, 0.2, 0.3, 0.4)},
    "gamma 4": ("dark", pixelwise(lambda v: 255 * (v / 255) ** 4)),
    **{f"exposure x {by}": ("bright", pixelwise(lambda v, by=by: v * by)) for by in (3, 5, 8)},
    "lifted: 200 + a fifth": ("bright", pixelwise(lambda v: 200 + v / 5)),
    "one colour": ("flat", pixelwise(lambda v: v * 0 + v.mean((0, 1)))),
    "contrast x 0.05": ("flat", pixelwise(lambda v: v.mean() + (v - v.mean()) * 0.05)),
    "contrast x 0.2": ("pale", pixelwise(lambda v: v.mean() + (v - v.mean()) * 0.2)),
    "without colour": ("grey", lambda image: image.convert("L").convert("RGB")),
    "4 times as wide as high": ("odd_shape", stretched),
    "black bars, a tenth": ("border", letterbox(0.1, "black")),
    "black bars, a quarter": ("border", letterbox(0.25, "black")),
    "white bars, a quarter": ("border", letterbox(0.25, "white")),
    **{f"words, {height} px, outlined": ("text", written(height, False)) for height in (14, 20, 28, 40, 64)},
    **{f"words, {height} px, on white": ("text", written(height, True)) for height in (14, 20, 28, 40, 64)},
}


def faults_of(image: Image.Image) -> set[str]:
    """Return the kinds of faults that are reported of an image."""
    reduced = reduce_image(image)
    kinds = {fault.kind for fault in quality_faults(measure_quality(reduced, image.size), {})}
    return kinds | ({"text"} if text_likelihood(reduced) > (FAULTS["text"].limit or 0) else set())


def fitted(image: Image.Image) -> Image.Image:
    scale = SIDE / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def painted(count: int) -> list[Image.Image]:
    rng = random.Random("faults")
    return [paint(random_scene(rng)) for _ in range(count)]


def carried(pictures: Sequence[Image.Image], change: Change | None, count: int, sets: int = 5) -> int:
    """The number of random sets of images in which an overlay is found."""
    rng, found = random.Random(count), 0
    for _ in range(sets):
        overlay = OverlayFinder()
        for picture in rng.sample(list(pictures), count):
            overlay.add(reduce_image(change(picture) if change else picture))
        found += overlay.found() is not None
    return found


def milliseconds(pictures: Sequence[Image.Image]) -> dict[str, float]:
    """The shortest of five times for one reduced image, in ms of one core."""
    reduced, overlay = [reduce_image(picture) for picture in pictures], OverlayFinder()
    acts: dict[str, Callable[[Image.Image], object]] = {
        "measures": lambda picture: measure_quality(picture, picture.size),
        "writing": text_likelihood,
        "overlay": overlay.add,
    }
    times: dict[str, float] = {}
    for name, act in acts.items():
        rounds = []
        for _ in range(5):
            began = time.process_time()
            for picture in reduced:
                act(picture)
            rounds.append(1000 * (time.process_time() - began) / len(reduced))
        times[name] = min(rounds)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=100, help="images of each kind that get planted faults")
    parser.add_argument("--painted", type=int, default=500, help="painter images without a fault")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    files = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    photographs, drawn = [open_image(path) for path in files], painted(options.painted)
    large = [picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS) for picture in drawn]
    clean = {"photographs": photographs, "painted, 128 px": drawn, "painted, 512 px": large}
    alarms = {name: [faults_of(picture) for picture in pictures] for name, pictures in clean.items()}
    falsely = {kind: [sum(kind in each for each in alarms[name]) for name in clean] for kind in KINDS}
    print_table(
        ["reported of clean images", *(f"{name} ({len(pictures)})" for name, pictures in clean.items())],
        [[kind, *map(str, counts)] for kind, counts in falsely.items()],
    )
    ground = {"photographs": [fitted(picture) for picture in photographs], "painted, 512 px": large}
    ground = {name: pictures[: options.pictures] for name, pictures in ground.items()}
    found = {
        f"{kind}: {name}": [
            sum(kind in faults_of(change(picture)) for picture in pictures) for pictures in ground.values()
        ]
        for name, (kind, change) in PLANTED.items()
    }
    shares = [
        [name, *(f"{100 * n / len(p):.0f}%" for n, p in zip(row, ground.values(), strict=True))]
        for name, row in found.items()
    ]
    print()
    print_table(["found where planted", *ground], shares)
    marks = {"none": None, **{f"{k}, {o:.0%}": marked(k, o) for k in ("corner", "centre", "tiled") for o in (0.2, 0.5)}}
    shared = {
        name: [carried(pictures, change, count) for pictures in ground.values() for count in (10, 30)]
        for name, change in marks.items()
    }
    print()
    header = [f"{name}, {count} pictures" for name in ground for count in (10, 30)]
    print_table(["sets of 5 with a mark found", *header], [[name, *map(str, row)] for name, row in shared.items()])
    times = milliseconds(photographs)
    print("\nms per image: " + ", ".join(f"{name} {value:.2f}" for name, value in times.items()))
    if options.json:
        told_of = {"falsely": falsely, "found": found, "marks": shared, "milliseconds": times}
        write_json(options.json, {"machine": machine(), **told_of})


if __name__ == "__main__":
    main()
