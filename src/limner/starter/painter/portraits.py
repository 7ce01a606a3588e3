"""Pictures of a character as its owner might have taken them."""

from __future__ import annotations

import random
from collections.abc import Iterable

from limner.starter.painter.animals.look import CHARACTERS
from limner.starter.painter.scene import Scene, random_scene


def portraits(character: str, rng: random.Random, places: Iterable[str], poses: Iterable[str]) -> list[Scene]:
    """A scene for each place and pose: by day, in clear weather, nothing worn."""
    return [
        random_scene(
            rng,
            subject=CHARACTERS[character].species,
            character=character,
            extra=None,
            place=place,
            pose=pose,
            light="day",
            weather="clear",
            style="illustration",
        )
        for place, pose in zip(places, poses, strict=True)
    ]
