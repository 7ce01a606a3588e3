"""Cats and dogs from a `Look`: the twelve breeds, and the drawing code that characters share with them.

Animal units: the origin is the centre of ground contact, y grows downward, a sitting animal is about 72 high.
Head units: the origin is the centre of the head, whose radius is 18.
"""

from .anatomy import HEAD, Anatomy
from .animal import draw_animal
from .breeds import BREED_LOOKS
from .look import Look
from .solids import line_colour, solid

__all__ = ["BREED_LOOKS", "HEAD", "Anatomy", "Look", "draw_animal", "line_colour", "solid"]
