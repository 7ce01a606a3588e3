"""The painter: draws pictures whose every attribute is known, for pretraining and for measuring."""

from .captions import caption, class_caption
from .characters import CHARACTERS
from .paint import compose, paint
from .scene import Scene, random_scene
from .vocabulary import BREEDS, COLOURS, EXTRAS, LIGHTS, PLACES, POSES, PRODUCTS, STUDIO, STYLES, WEATHERS

__all__ = [
    "BREEDS",
    "CHARACTERS",
    "COLOURS",
    "EXTRAS",
    "LIGHTS",
    "PLACES",
    "POSES",
    "PRODUCTS",
    "STUDIO",
    "STYLES",
    "WEATHERS",
    "Scene",
    "caption",
    "class_caption",
    "compose",
    "paint",
    "random_scene",
]
