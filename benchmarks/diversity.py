"""How often the advice on a subject's images is right, on images with known content.

    python benchmarks/diversity.py --json diversity.json
    python benchmarks/diversity.py --photographs FOLDER_OF_FOLDERS --sheet sheet.png

The painter draws sets of twelve images of one character with a known number of backgrounds, lights and sides, and
`limner.data.diversity.advice` is applied to them. The position of the subject is a fixed map that favours the centre,
as without a detector. Photos have no known truth; their sheet is for checking by eye.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from figures import machine, print_table, write_json
from limner.data.diversity.advice import (
    advise_on_subject,
    background_clusters,
    on_backgrounds,
    on_framing,
    on_light,
    on_views,
)
from limner.data.diversity.scenes import SceneDescription, describe_scene
from limner.imaging.decode import open_image
from limner.starter.painter import CHARACTERS, COLOURS, LIGHTS, PLACES, POSES, STUDIO, Scene, paint, random_scene

SIZE = 12
NUMBERS = (1, 3, 6, 12)
"""Numbers of backgrounds in a set."""
GROUNDS = (*((place, None) for place in PLACES), *((STUDIO, colour) for colour in COLOURS))


def middle() -> np.ndarray:
    """A map (64, 64) of where subjects mostly are."""
    down, across = np.mgrid[:64, :64] / 64
    return np.exp(-((((across - 0.5) / 0.28) ** 2 + ((down - 0.55) / 0.38) ** 2) ** 2)).astype(np.float32)


def subject_set(rng: random.Random, number: int, lights: int, sides: int) -> tuple[list[Scene], list[int]]:
    """Scenes of one character, and which background each has. lights, sides: 1 for the same in all."""
    name = rng.choice(list(CHARACTERS))
    # The studio knows no light: where light is the question, there are only places.
    grounds = rng.sample(GROUNDS if lights == 1 else GROUNDS[: len(PLACES)], min(number, len(PLACES)))
    grounds += rng.sample([ground for ground in GROUNDS if ground not in grounds], number - len(grounds))
    light, pose = rng.choice(LIGHTS), rng.choice(POSES)
    scenes: list[Scene] = []
    facing = rng.choice(("left", "right"))
    for at in range(SIZE):
        place, backdrop = grounds[at % number]
        while True:
            scene = random_scene(
                rng,
                subject=CHARACTERS[name].species,
                character=name,
                extra=None,
                pose=pose if sides == 1 else POSES[at % 3],
                place=place,
                backdrop=backdrop,
                light="day" if place == STUDIO else light if lights == 1 else LIGHTS[at * lights // SIZE % 3],
                weather="clear",
                style="illustration",
            )
            if sides > 1 or scene.facing in (None, facing):
                break
        scenes.append(scene)
    return scenes, [at % number for at in range(SIZE)]


def rand_index(first: Sequence[int], second: Sequence[int]) -> float:
    """The adjusted Rand index of two groupings (Hubert and Arabie 1985): 1 for the same, 0 for chance."""
    table = np.zeros((max(first) + 1, max(second) + 1))
    np.add.at(table, (np.asarray(first), np.asarray(second)), 1)
    whole, rows, columns = (float((n * (n - 1) / 2).sum()) for n in (table, table.sum(axis=1), table.sum(axis=0)))
    expected = rows * columns / (len(first) * (len(first) - 1) / 2)
    most = (rows + columns) / 2
    return 1.0 if most == expected else (whole - expected) / (most - expected)


def advice_on(seen: Sequence[SceneDescription]) -> dict[str, bool]:
    return {
        "background": any(advice.level == "warning" for advice in on_backgrounds(seen)),
        "light": bool(on_light(seen)),
        "side": bool(on_views(seen)),
        "small": bool(on_framing(seen)),
    }


def measure(sets: int) -> list[dict[str, Any]]:
    rng, where, found = random.Random(7), middle(), []
    for at in range(sets):
        number, lights, sides = NUMBERS[at % 4], (1, 3)[at // 4 % 2], (1, 3)[at // 8 % 2]
        scenes, truth = subject_set(rng, number, lights, sides)
        pictures = [paint(scene) for scene in scenes]
        begun = time.process_time()
        seen = [describe_scene(picture, where) for picture in pictures]
        taken = (time.process_time() - begun) / len(seen)
        groups = background_clusters(seen).tolist()
        found.append(
            {
                "backgrounds": number,
                "lights": len({scene.light for scene in scenes}),
                "light": [[round(each.light.luma, 3), round(each.light.warmth, 1)] for each in seen],
                "sides": len({(scene.pose, scene.facing) for scene in scenes}),
                "found": max(groups) + 1,
                "rand": rand_index(groups, truth),
                "given": advice_on(seen),
                "seconds": taken,
            }
        )
    return found


def precision(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each advice: how often it was given, its precision and its recall."""
    truths = {"background": "backgrounds", "light": "lights", "side": "sides"}
    rows = []
    for name, counted in truths.items():
        given = [each["given"][name] for each in found]
        true = [each[counted] == 1 for each in found]
        right = sum(a and b for a, b in zip(given, true, strict=True))
        rows.append({"advice": name, "given": sum(given), "right": right, "true": sum(true)})
    return rows


def sheet(folder: Path, path: Path, side: int = 132) -> None:
    """A sheet with one row for each set of photos: its images, their backgrounds by number, and the advice."""
    folders = sorted(each for each in folder.iterdir() if each.is_dir())
    figure = Image.new("RGB", (6 * side + 620, len(folders) * (side + 6)), "white")
    draw, where = ImageDraw.Draw(figure), middle()
    for row, each in enumerate(folders):
        pictures = [open_image(file) for file in sorted(each.glob("*.jpg"))]
        seen = [describe_scene(picture, where) for picture in pictures]
        top = row * (side + 6)
        for at, (picture, group) in enumerate(zip(pictures, background_clusters(seen), strict=True)):
            figure.paste(picture.resize((side, side)), (at * side, top))
            draw.text((at * side + 4, top + 4), f"background {group}", fill="red")
        given = [f"{advice.level}: {advice.text}" for advice in advise_on_subject(seen, looked_at_faces=True)]
        draw.text((6 * side + 8, top), "\n".join([each.name, *given]), fill="black")
        print(each.name, *given, sep="\n    ")
    figure.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=200, help="number of sets of twelve images")
    parser.add_argument("--photographs", type=Path, help="folder of folders of photos")
    parser.add_argument("--sheet", type=Path, default=Path("sheet.png"), help="file for the sheet of photos")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    if args.photographs:
        return sheet(args.photographs, args.sheet)
    found = measure(args.sets)
    header = ("backgrounds", "lights", "sets", "found, mean", "number right", "adjusted Rand index")
    rows = []
    for number in NUMBERS:
        for one in (True, False):
            part = [each for each in found if each["backgrounds"] == number and (each["lights"] == 1) == one]
            if not part:
                continue
            right = np.mean([each["found"] == number for each in part])
            means = [float(np.mean([each[name] for each in part])) for name in ("found", "rand")]
            rows.append(
                (str(number), "1" if one else "3", str(len(part)), f"{means[0]:.1f}", f"{right:.0%}", f"{means[1]:.2f}")
            )
    print_table(header, rows)
    told_rows = precision(found)
    print_table(tuple(told_rows[0]), [tuple(map(str, row.values())) for row in told_rows])
    milliseconds = 1000 * float(np.median([each["seconds"] for each in found]))
    print(f"{milliseconds:.1f} ms of processor time per image")
    if args.json:
        write_json(args.json, {"machine": machine(), "sets": found, "advice": told_rows, "ms": milliseconds})


if __name__ == "__main__":
    main()
