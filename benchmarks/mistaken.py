"""How often the encoder that judges groups errs on pictures of which the truth is known.

    python benchmarks/mistaken.py --json mistaken.json

The painter draws the same scenes for each group (places and accidents by seeds), and
`limner.engine.evaluate.group_fairness` asks the encoder whose each picture is. Nothing is painted by a model, so all
that is mistaken is the encoder's own mistake.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from figures import machine, print_table, write_json
from limner.engine.evaluate.group_fairness import measure_confusion
from limner.engine.scoring.encoders import open_encoder
from limner.starter.painter import BREEDS, COLOURS, PLACES, POSES, PRODUCTS, Scene, paint
from limner.stats.group_fairness import GroupConfusion

ASKED: tuple[tuple[str, Sequence[str], str, str, dict[str, Any]], ...] = (
    ("dog breeds", BREEDS["dog"], "a photo of a {} in the park", "breed", {"subject": "dog"}),
    ("cat breeds", BREEDS["cat"], "a photo of a {} cat in the park", "breed", {"subject": "cat"}),
    ("cats and dogs", ("cat", "dog"), "a photo of a {} in the park", "subject", {}),
    ("places", PLACES, "a photo of a dog in the {}", "place", {"subject": "dog"}),
    ("colours of a mug", tuple(COLOURS), "a photo of a {} mug in the park", "colour", {"subject": "mug"}),
    ("things", PRODUCTS, "a photo of a red {} in the park", "subject", {"colour": "red"}),
    ("poses of a dog", POSES, "a photo of a dog {} in the park", "pose", {"subject": "dog"}),
)
"""What parts the groups: its name, its values, a prompt, the attribute of a scene, and its other attributes."""


def measure(
    encoder: str, folder: Path, count: int, values: Sequence[str], asked: tuple[str, str, Any]
) -> GroupConfusion:
    template, attribute, rest = asked
    pictures: dict[str, list[Path]] = {value: [] for value in values}
    rng = random.Random(attribute)
    for number in range(count):
        seed = rng.getrandbits(31)
        for place, value in enumerate(values):
            path = folder / f"{place}-{number}.png"
            paint(Scene(**{"place": "park"} | rest | {attribute: value}, seed=seed)).save(path)
            pictures[value].append(path)
    return measure_confusion(
        open_encoder(encoder), pictures, {value: [template.format(value)] * count for value in values}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="starter", help="network of text and images")
    parser.add_argument("--count", type=int, default=24, help="pictures of each group")
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    options = parser.parse_args()
    found: dict[str, GroupConfusion] = {}
    for name, values, template, attribute, rest in ASKED:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = measure(options.encoder, Path(folder), options.count, values, (template, attribute, rest))
    rows = [
        [
            name,
            str(len(confusion.taken_for)),
            *(f"{100 * share:.0f}%" for share in (confusion.share, confusion.low, confusion.high)),
        ]
        + [f"{100 * confusion.by_guessing:.0f}%", f"{confusion.by_group.worst} {100 * _worst(confusion):.0f}%"]
        for name, confusion in found.items()
    ]
    print_table(("groups", "how many", "mistaken", "from", "to", "by guessing", "worst"), rows)
    if options.json:
        shares = {name: {"share": each.share, "taken_for": each.taken_for} for name, each in found.items()}
        write_json(options.json, {"encoder": options.encoder, "machine": machine(), "mistaken": shares})


def _worst(confusion: GroupConfusion) -> float:
    return max(group.mean for group in confusion.by_group.groups)


if __name__ == "__main__":
    main()
