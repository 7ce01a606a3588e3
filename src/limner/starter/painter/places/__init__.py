"""Places in image units: eight places and a studio, in each light, with weather and shadow.

The subject stands in the middle with its feet at y 98 to 116. So the ground is below y 90 everywhere, and tall scenery
is at the sides.
"""

from limner.starter.painter.places.place import draw_place, draw_shadow
from limner.starter.painter.places.sky import draw_weather

__all__ = ["draw_place", "draw_shadow", "draw_weather"]
