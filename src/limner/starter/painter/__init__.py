"""The painter: draws images whose every attribute is known, for pretraining and for measuring."""

from limner.starter.painter.animals.look import CHARACTERS
from limner.starter.painter.captions import caption, class_caption
from limner.starter.painter.paint import compose, paint
from limner.starter.painter.scene import Scene, portraits, random_scene
from limner.starter.painter.vocabulary import (
    ATTRIBUTES,
    BREEDS,
    COLOURS,
    EXTRAS,
    LIGHTS,
    PLACES,
    POSES,
    PRODUCTS,
    STUDIO,
    STYLES,
    WEATHERS,
)

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
