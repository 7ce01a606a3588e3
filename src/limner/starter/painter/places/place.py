"""A place by its name."""

from __future__ import annotations

import random
from collections.abc import Callable

from limner.starter.painter.canvas import Canvas
from limner.starter.painter.places.beach import draw_beach
from limner.starter.painter.places.city import draw_city
from limner.starter.painter.places.desert import draw_desert
from limner.starter.painter.places.forest import draw_forest
from limner.starter.painter.places.living_room import draw_living_room
from limner.starter.painter.places.mood import MOODS, Mood
from limner.starter.painter.places.mountains import draw_mountains
from limner.starter.painter.places.park import draw_park
from limner.starter.painter.places.snow import draw_snow
from limner.starter.painter.places.studio import draw_studio
from limner.starter.painter.vocabulary import RGB, STUDIO

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
