"""The painter's pixels and captions: 500 scenes have the hashes in the list beside this file.

`python tests/starter/test_painter_pixels.py` writes the list again, after a deliberate change of the painter.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import numpy as np
import PIL
import pytest

from limner.starter.painter import CHARACTERS, POSES, STYLES, caption, paint, random_scene
from limner.starter.painter.animals.random_look import random_look

LIST = Path(__file__).with_name("painter_pixels.txt")
COUNT = 500
EVERY = 11
"""The fast test hashes one scene in so many."""
LIBRARIES = f"Pillow {PIL.__version__}, numpy {np.__version__}"


def hash_of(number: int) -> str:
    """The hash of the caption and pixels of a scene, of which one in five is a character and one has a random look."""
    rng, look, fixed = random.Random(f"pixels/{number}"), None, {}
    if number % 5 == 1:
        name = sorted(CHARACTERS)[number // 5 % len(CHARACTERS)]
        pose, style = POSES[number // 5 % len(POSES)], STYLES[number // 5 % len(STYLES)]
        fixed = {"subject": CHARACTERS[name].species, "character": name, "pose": pose, "style": style}
    elif number % 5 == 2:
        look, _ = random_look(rng, species := rng.choice(("cat", "dog")))
        fixed = {"subject": species}
    scene = random_scene(rng, **fixed)
    return hashlib.sha256(caption(scene, rng).encode() + paint(scene, look).tobytes()).hexdigest()[:12]


def check(numbers: range) -> None:
    libraries, *hashes = LIST.read_text(encoding="utf-8").splitlines()
    if libraries != LIBRARIES:
        pytest.skip(f"the list was made with {libraries}, and this is {LIBRARIES}")
    assert len(hashes) == COUNT
    assert not [number for number in numbers if hash_of(number) != hashes[number]]


def test_scenes_have_the_stored_hashes():
    check(range(0, COUNT, EVERY))


@pytest.mark.slow
def test_all_scenes_have_the_stored_hashes():
    check(range(COUNT))


if __name__ == "__main__":
    LIST.write_text("\n".join([LIBRARIES, *map(hash_of, range(COUNT))]) + "\n", encoding="utf-8")
