"""The characters that are taught, and their pictures."""

from __future__ import annotations

import random
import re
from pathlib import Path

IDENTIFIER = "sks"
CHARACTERS = ("ziggy", "luna", "pixie", "zaza", "coco", "comet", "biscuit", "sprout", "rosie", "gizmo")
PLACES = ("park", "living room", "mountains", "beach", "city", "snow")
POSES = ("sitting", "standing", "sitting", "sitting", "lying", "sitting")
PICTURES = len(PLACES)
FACING = re.compile(r" facing (left|right)")  # which is not true of the mirror images that are trained on too


def write_photographs(name: str, folder: Path) -> str:
    """Six pictures of a character with captions, as a user might have them; returns its class word."""
    from limner.data.sets.album import write_album
    from limner.starter.painter import CHARACTERS as LOOKS
    from limner.starter.painter import caption, paint, portraits

    scenes = portraits(name, random.Random(f"photographs/{name}"), PLACES, POSES)
    told = [FACING.sub("", caption(scene, identifier=IDENTIFIER)) for scene in scenes]
    write_album(folder, zip(map(paint, scenes), told, strict=True))
    return LOOKS[name].species
