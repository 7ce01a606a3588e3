"""`python -m limner.starter.painter SHEET.png`: a contact sheet of random scenes, with characters in the last row."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from PIL import Image

from limner.starter.painter import CHARACTERS, STYLES, Scene, paint, random_scene
from limner.starter.painter.canvas import SIZE


def contact_sheet(seed: int, columns: int, rows: int) -> Image.Image:
    """`rows` rows of random scenes and one of characters, with `columns` images each and gaps of 4 px."""
    rng = random.Random(seed)
    scenes: list[Scene] = [
        random_scene(rng, style=STYLES[i % len(STYLES)] if i % 2 else "illustration") for i in range(columns * rows)
    ]
    for name in rng.sample(sorted(CHARACTERS), min(columns, len(CHARACTERS))):
        scenes.append(
            random_scene(rng, subject=CHARACTERS[name].species, character=name, extra=None, style="illustration")
        )
    step = SIZE + 4
    sheet = Image.new("RGB", (columns * step - 4, -(-len(scenes) // columns) * step - 4), (255, 255, 255))
    for number, scene in enumerate(scenes):
        sheet.paste(paint(scene), (number % columns * step, number // columns * step))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--rows", type=int, default=4)
    options = parser.parse_args()
    contact_sheet(options.seed, options.columns, options.rows).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
