"""The painter: draws pictures whose every attribute is known, for pretraining and for measuring."""

from .captions import caption, class_caption
from .characters import CHARACTERS
from .paint import compose, paint
from .portraits import portraits
from .scene import Scene, random_scene
from .vocabulary import ATTRIBUTES, BREEDS, COLOURS, EXTRAS, LIGHTS, PLACES, POSES, PRODUCTS, STUDIO, STYLES, WEATHERS

__all__ = [
    "ATTRIBUTES",
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
    "portraits",
    "random_scene",
]
