"""All places by name, the studio, and the shadow under a subject."""

from __future__ import annotations

import random
from collections.abc import Callable

from limner.starter.painter.canvas import RGB, SIZE, Canvas, Gradient, darker, ellipse_points, lighter, mix
from limner.starter.painter.places.beach_desert import draw_beach, draw_desert
from limner.starter.painter.places.city_room import draw_city, draw_living_room
from limner.starter.painter.places.forest_park import draw_forest, draw_park
from limner.starter.painter.places.lighting import LIGHTINGS, Lighting
from limner.starter.painter.places.mountains_snow import draw_mountains, draw_snow
from limner.starter.painter.vocabulary import STUDIO


def draw_shadow(canvas: Canvas, x: float, y: float, half_width: float, light: str) -> None:
    """Draw a soft contact shadow on the ground, centred at (x, y)."""
    colour = mix((24, 20, 44), LIGHTINGS[light].tint, 0.12)
    for share, alpha in ((1.0, 0.14), (0.78, 0.16)):
        rx = half_width * share
        canvas.polygon(ellipse_points(x, y, rx, rx * 0.16, n=24), colour, alpha=alpha, outline=False)


def _draw_studio(canvas: Canvas, backdrop: RGB) -> None:
    """Draw a plain wall that is lighter at the bottom, and a slightly darker floor."""
    canvas.rectangle(0, 0, SIZE, 90, Gradient(darker(backdrop, 0.06), lighter(backdrop, 0.12)), outline=False)
    canvas.rectangle(0, 89, SIZE, SIZE, Gradient(darker(backdrop, 0.06), darker(backdrop, 0.16)), outline=False)


PLACE_PAINTERS: dict[str, Callable[[Canvas, Lighting, str, random.Random], None]] = {
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
    """Draw a place in a light. backdrop: the colour of the studio, whose light is always plain.

    Raises ValueError for a studio without a backdrop.
    """
    if place == STUDIO:
        if backdrop is None:
            raise ValueError("the studio needs a backdrop colour")
        _draw_studio(canvas, backdrop)
        return
    PLACE_PAINTERS[place](canvas, LIGHTINGS[light], light, rng)
