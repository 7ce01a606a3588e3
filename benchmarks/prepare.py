"""Images per second of `limner prepare`, of a plain Pillow loop and of img2dataset's resizer.

    python benchmarks/prepare.py FOLDER --size 256 --json prepare.json

FOLDER holds images; without it, --paint N makes N painter images of 512 px first. img2dataset is not installed with
Limner: --peer is the path of a Python that has it. All write JPEG of quality 95. The plain loop and img2dataset's
resizer only read, resize and write, in one process. `limner prepare` also checks, hashes, crops and compares the images
and writes a report.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image

from limner.starter.painter import paint, random_scene

PEER = """
import io, sys, time
from pathlib import Path
from img2dataset.resizer import Resizer
folder, out, size = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
resizer = Resizer(size, "center_crop", False, encode_quality=95, encode_format="jpg")
paths = sorted(folder.rglob("*.jpg"))
start = time.perf_counter()
for path in paths:
    data, *_, error = resizer(io.BytesIO(path.read_bytes()))
    assert error is None, error
    (out / path.name).write_bytes(data)
print(time.perf_counter() - start)
"""


def painted(number: int, folder: Path) -> None:
    """One painter image, enlarged four times."""
    path = folder / f"{number // 1000:03d}" / f"{number:07d}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    image = paint(random_scene(random.Random(number))).resize((512, 512), Image.Resampling.LANCZOS)
    image.save(path, quality=95)


def plain_loop(folder: Path, out: Path, size: int) -> float:
    """Seconds of a plain loop: open, resize, save."""
    start = time.perf_counter()
    for path in sorted(folder.rglob("*.jpg")):
        with Image.open(path) as image:
            image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS).save(out / path.name, quality=95)
    return time.perf_counter() - start


def peer(folder: Path, out: Path, size: int, python: str) -> float:
    """Seconds of img2dataset's resizer with its defaults, except the size."""
    done = subprocess.run(
        [python, "-c", PEER, str(folder), str(out), str(size)], check=True, capture_output=True, text=True
    )
    return float(done.stdout.split()[-1])


def ours(folder: Path, out: Path, size: int, flags: list[str]) -> tuple[float, float]:
    """Seconds of `limner prepare` from start to end, and the peak memory of its largest process in GB."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "limner.cli", "prepare", str(folder), "--out", str(out / "set")]
    subprocess.run([*command, "--size", str(size), *flags], check=True, capture_output=True)
    seconds = time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--paint", type=int, default=1000, help="images to paint if no folder is given")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--peer", help="path of a Python with img2dataset")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = options.folder
        if folder is None:
            folder = Path(place) / "painted"
            with ProcessPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(partial(painted, folder=folder), range(options.paint), chunksize=20))
        count = sum(1 for _ in folder.rglob("*.jpg"))
        found: dict[str, dict[str, float]] = {}

        def record(name: str, seconds: float, **more: float) -> None:
            found[name] = {"seconds": round(seconds, 2), "pictures_per_second": round(count / seconds, 1), **more}
            print(name, found[name], flush=True)

        for name in ("pillow", "img2dataset", "limner", "limner without an encoder", "limner, centre, few checks"):
            out = Path(place) / name.replace(" ", "-").replace(",", "")
            out.mkdir()
            if name == "pillow":
                record(name, plain_loop(folder, out, options.size))
            elif name == "img2dataset":
                if options.peer:
                    record(name, peer(folder, out, options.size, options.peer))
            else:
                flags = {"limner": [], "limner without an encoder": ["--encoder", "none"]}.get(name)
                few = ["--encoder", "none", "--crop", "centre", "--ignore", "text", "--ignore", "near_duplicate"]
                seconds, gigabytes = ours(folder, out, options.size, few if flags is None else flags)
                record(name, seconds, gigabytes=round(gigabytes, 2))
    report = {"pictures": count, "size": options.size, "cores": os.cpu_count(), "ways": found}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
