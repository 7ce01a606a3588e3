"""The main parts of a body as filled shapes with a thin contour."""

from __future__ import annotations

import numpy as np

from limner.starter.painter.canvas import Canvas, Gradient, darker, lighter
from limner.starter.painter.vocabulary import RGB


def line_colour(colour: RGB) -> RGB:
    """The thin contour of a shape: darker, or lighter round a dark coat so that it shows at night."""
    return lighter(colour, 0.24) if sum(colour) < 240 else darker(colour, 0.4)


def solid(canvas: Canvas, points: np.ndarray, colour: RGB) -> np.ndarray:
    """A main part of the body, with its thin contour."""
    return canvas.polygon(points, colour, stroke=line_colour(colour), width=0.8)


def modelled(canvas: Canvas, points: np.ndarray, colour: RGB) -> np.ndarray:
    """A main part that grows darker towards its foot."""
    shaded = Gradient(lighter(colour, 0.07), darker(colour, 0.12))
    return canvas.polygon(points, shaded, stroke=line_colour(colour), width=0.8)
