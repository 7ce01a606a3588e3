"""A place by its name."""

from __future__ import annotations

import random
from collections.abc import Callable

from ..canvas import Canvas
from ..vocabulary import RGB, STUDIO
from .beach import draw_beach
from .city import draw_city
from .desert import draw_desert
from .forest import draw_forest
from .living_room import draw_living_room
from .mood import MOODS, Mood
from .mountains import draw_mountains
from .park import draw_park
from .snow import draw_snow
from .studio import draw_studio

PLACE_PAINTERS: dict[str, Callable[[Canvas, Mood, str, random.Random], None]] = {
    "beach": draw_beach,
    "park": draw_park,
    "city": draw_city,
    "living room": draw_living_room,
    "snow": draw_snow,
    "forest": draw_forest,
    "desert": draw_desert,
    "mountains": draw_mountains,
}


def draw_place(canvas: Canvas, place: str, backdrop: RGB | None, light: str, rng: random.Random) -> None:
    """Fill the picture with a place under a light; `backdrop` colours the studio, which is always in plain light."""
    if place == STUDIO:
        if backdrop is None:
            raise ValueError("the studio needs a backdrop colour")
        draw_studio(canvas, backdrop)
        return
    PLACE_PAINTERS[place](canvas, MOODS[light], light, rng)
