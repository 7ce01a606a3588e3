"""Cats and dogs from a `Look`: the twelve breeds, and the drawing code that characters share with them.

Animal units: the origin is the centre of ground contact, y grows downward, a sitting animal is about 72 high.
Head units: the origin is the centre of the head, whose radius is 18.
"""

from limner.starter.painter.animals.anatomy import HEAD, Anatomy
from limner.starter.painter.animals.animal import draw_animal
from limner.starter.painter.animals.breeds import BREED_LOOKS
from limner.starter.painter.animals.look import Look
from limner.starter.painter.animals.solids import line_colour, solid

__all__ = ["BREED_LOOKS", "HEAD", "Anatomy", "Look", "draw_animal", "line_colour", "solid"]
