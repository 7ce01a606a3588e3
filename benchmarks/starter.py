"""How near images of a starter are to painter images of the same scenes: FID, sharpness and edge density.

    python benchmarks/starter.py --json starter.json
    python benchmarks/starter.py --model FOLDER --count 500

Random scenes are drawn by the painter and generated from their full captions, with the starter's own sampling. FID is
that of `limner evaluate`, with the features of the starter's image encoder. Half of the painter images are also
compared with the other half: no model can be expected to come nearer.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from rich.progress import track

from figures import machine, print_table, write_json
from limner.core.metrics import ImageSet, ScoredImage
from limner.core.requests import MetricUse
from limner.engine.scoring.scorers import Scorers
from limner.starter.exam.model import ModelUnderTest
from limner.starter.exam.options import ExamOptions
from limner.starter.painter import caption, paint
from limner.starter.painter.reserved import unreserved_scenes

METRICS = ("sharpness", "edge_density")


def written(folder: Path, name: str, images: Iterable[np.ndarray | Image.Image]) -> tuple[Path, ...]:
    """The paths of images that are written as PNG files."""
    paths = []
    for number, image in enumerate(images):
        shown = image if isinstance(image, Image.Image) else Image.fromarray(image)
        shown.save(path := folder / f"{name}-{number:05d}.png")
        paths.append(path)
    return tuple(paths)


def gallery(paths: Iterable[Path], references: tuple[Path, ...] = ()) -> ImageSet:
    return ImageSet(tuple(map(ScoredImage, paths)), references=references)


def measure(model: str, count: int, batch: int) -> dict[str, float]:
    """FID and mean values of a model's images, and the same of painter images."""
    scenes = unreserved_scenes(random.Random("fid"), count)
    tested = ModelUnderTest.load(ExamOptions(model=model), lambda event: None, lambda: False)
    prompts = [caption(scene) for scene in scenes]
    with TemporaryDirectory() as name:
        folder = Path(name)
        painted = written(folder, "painter", track(map(paint, scenes), "painting", total=count))
        generated: tuple[Path, ...] = ()
        for start in track(range(0, count, batch), "generating"):
            pixels = tested.generate("generating", prompts[start : start + batch])
            generated += written(folder, f"generated-{start:05d}", pixels)
        distance, details = Scorers([MetricUse(name="fid")]), Scorers([MetricUse(name=name) for name in METRICS])
        half = count // 2
        found = {
            "FID": distance.score(gallery(generated, painted))["fid"].mean,
            "FID of half the images": distance.score(gallery(generated[:half], painted[half:]))["fid"].mean,
            "FID of painter images": distance.score(gallery(painted[:half], painted[half:]))["fid"].mean,
        }
        for kind, paths in (("generated", generated), ("painter", painted)):
            found |= {f"{kind} {name}": score.mean for name, score in details.score(gallery(paths)).items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter", help="the starter's alias or folder (default: %(default)s)")
    parser.add_argument("--count", type=int, default=2000, help="images (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="images at a time (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write all measurements to this file")
    options = parser.parse_args()
    found = measure(options.model, options.count, options.batch)
    print_table(("measure", "value"), [(name, f"{value:.4g}") for name, value in found.items()])
    write_json(options.json, {"machine": machine(), "model": options.model, "count": options.count, **found})


if __name__ == "__main__":
    main()
