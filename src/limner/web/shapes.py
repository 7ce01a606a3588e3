"""The shapes of an image that forms offer, and their sizes in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from limner.studio.choices import model_sides

SHAPES = {"": (0, 0), "square": (1, 1), "portrait": (3, 4), "landscape": (4, 3)}
"""Shapes of an image: width to height."""
MULTIPLE = 16
"""Sides of the shapes are multiples of this, which suits every family."""
LABELS = {"": "Model's own", "square": "Square", "portrait": "Portrait", "landscape": "Landscape"}


@dataclass(frozen=True)
class Shape:
    """A shape to choose. size: as calls write it, such as "512x768"; empty for the model's own."""

    name: str
    label: str
    size: str


def shape_size(shape: str, side: int) -> tuple[int, int]:
    """Width and height of a shape, at the area of a square of this side."""
    wide, high = SHAPES[shape]
    scale = side / sqrt(wide * high)
    return round(wide * scale / MULTIPLE) * MULTIPLE, round(high * scale / MULTIPLE) * MULTIPLE


def shapes_of(model: str) -> list[Shape]:
    """The shapes for a model; none if the side that it was trained on is not known."""
    side = model_sides().get(model)
    if side is None:
        return []
    sizes = {name: "x".join(map(str, shape_size(name, side))) for name in SHAPES if name}
    return [Shape(name or "own", LABELS[name], sizes.get(name, "")) for name in SHAPES]
