"""Where a scene's subject stands."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Placement:
    """The foot of the subject in pixels, its scale, and whether it is mirrored, so that it faces left."""

    x: float
    y: float
    scale: float
    mirrored: bool

    @classmethod
    def draw(cls, rng: random.Random) -> Placement:
        return cls(rng.uniform(57, 71), rng.uniform(112, 119), rng.uniform(1.1, 1.28), rng.random() < 0.5)
