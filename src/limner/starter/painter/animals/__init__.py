"""Cats and dogs, drawn from a `Look`: the twelve breeds, and the characters.

Animal units: the origin is the centre of ground contact, y grows downward, a sitting animal is about 72 high.
Head units: the origin is the centre of the head, whose radius is 18.
"""

from limner.starter.painter.animals.animal import HEAD, Anatomy, draw_animal
from limner.starter.painter.animals.look import BREED_LOOKS, Look
from limner.starter.painter.animals.shapes import line_colour, solid

__all__ = ["BREED_LOOKS", "HEAD", "Anatomy", "Look", "draw_animal", "line_colour", "solid"]
