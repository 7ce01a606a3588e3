"""Backgrounds in picture units: eight places and a studio, under each light, with weather and shadow.

The subject stands in the middle with its feet at y 98 to 116, so ground lies below y 90 everywhere and
tall scenery keeps to the sides.
"""

from limner.starter.painter.places.place import draw_place
from limner.starter.painter.places.shadow import draw_shadow
from limner.starter.painter.places.weather import draw_weather

__all__ = ["draw_place", "draw_shadow", "draw_weather"]
